// The page of requests: the log, and what is selected in it.

import * as address from "./address.js";
import { call } from "./api.js";
import * as bulk from "./bulk.js";
import * as detail from "./detail.js";
import { byId, element, plural } from "./dom.js";
import * as filters from "./filters.js";
import { Log } from "./log.js";
import { head, row } from "./row.js";
import { load } from "./webhooks.js";

const page = byId("requests");
const frame = page.querySelector(".window");
const table = frame.querySelector("table");
table.append(head());
const state = page.querySelector(".list .state");
const end = page.querySelector(".end");
// How many requests are read at once: few at first, so that something is there.
const [firstPage, otherPages] = [50, 200];

const selected = new Map(); // failed requests by their id
let asked = null; // the filters of what is shown
let current = null; // the id of the row that Tab leads to
let known = true; // whether the webhooks and types could be read

const log = new Log({
	frame,
	read(cursor) {
		const query = new URLSearchParams(asked);
		query.set("limit", cursor === null ? firstPage : otherPages);
		if (cursor !== null) {
			query.set("cursor", cursor);
		}
		return call(`requests?${query}`);
	},
	makeRow(request) {
		const made = row(request, { selected: selected.has(request.id), href: linkTo(request.id) });
		made.classList.toggle("shown", request.id === address.read().query.get("request"));
		requests.set(made, request);
		return made;
	},
	told,
	shown(focus) {
		makeReachable();
		if (focus) {
			table.querySelector("tbody a[tabindex='0']")?.focus({ preventScroll: true });
		}
	},
});
const requests = new WeakMap(); // by row

export function enter() {
	asked = null; // it is read anew, for much may have happened
	fill();
}

// show shows what the address says.
export function show() {
	filters.show();
	const now = filters.read().toString();
	if (now !== asked) {
		asked = now;
		select([]);
		log.clear();
		log.restart();
	}
	for (const each of log.rows()) {
		each.classList.toggle("shown", each.dataset.id === address.read().query.get("request"));
		each.querySelector(".open").href = linkTo(each.dataset.id);
	}
	detail.show();
}

export function recover() {
	log.again();
	if (!known) {
		fill();
	}
	detail.recover();
}

async function fill() {
	try {
		filters.fill(await load());
		known = true;
	} catch {
		known = false; // the list says what is wrong
	}
}

function linkTo(id) {
	return address.link("requests", [...filters.read(), ["request", id]]);
}

// told shows how the list stands.
function told({ pages, empty, whole, reading, problem }) {
	frame.hidden = pages === 0 || empty;
	frame.classList.toggle("reading", reading);
	state.hidden = !(empty || (pages === 0 && problem));
	end.replaceChildren();
	byId("rerun-all").hidden = frame.hidden || filters.read().get("status") === "success";
	if (problem) {
		const again = element("button", { onclick: () => log.again() }, "Try again");
		(pages === 0 ? state : end).replaceChildren(element("p", problem.errors?.[0]?.detail ?? problem.message), again);
	} else if (empty) {
		state.replaceChildren(...nothing());
	} else if (reading) {
		end.textContent = "Loading…";
	} else if (whole) {
		end.textContent = "That is all.";
	}
}

function nothing() {
	if (filters.read().size > 0) {
		return [
			element("h3", "No request matches"),
			element("p", "Nothing in the log is as the filters ask for."),
			element("button", { onclick: filters.clear }, "Clear filters"),
		];
	}
	return [
		element("h3", "No request yet"),
		element("p", "Each request that is sent to a webhook appears here, with what was answered."),
	];
}

// Keys. Tab leads to one row, and arrow keys from there to the others.

function makeReachable() {
	const rows = log.rows();
	const at = rows.find((each) => each.dataset.id === current) ?? rows[0];
	for (const part of table.querySelectorAll("tbody [tabindex='0']")) {
		part.tabIndex = -1;
	}
	for (const part of at?.querySelectorAll("a, input") ?? []) {
		part.tabIndex = 0;
	}
}

function move(to) {
	if (to) {
		current = to.dataset.id;
		makeReachable();
		to.querySelector(".open").focus();
	}
}

table.addEventListener("focusin", (event) => {
	const focused = event.target.closest("tbody > tr");
	if (focused && focused.dataset.id !== current) {
		current = focused.dataset.id;
		makeReachable();
	}
});

table.addEventListener("keydown", (event) => {
	const rows = log.rows();
	const at = rows.indexOf(event.target.closest("tr"));
	const to = { ArrowDown: rows[at + 1], ArrowUp: rows[at - 1], Home: rows[0], End: rows.at(-1) };
	if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) {
		return;
	}
	if (event.key in to) {
		event.preventDefault();
		move(to[event.key]);
	} else if (event.key === " " && event.target.matches(".open")) {
		event.preventDefault();
		rows[at].querySelector("input")?.click();
	}
});

// A click anywhere in a row opens its request, unless it selects it, or text in it.
// The address is replaced if another request is shown already, so that Back leads
// out of the panel at once.
table.addEventListener("click", (event) => {
	const open = event.target.closest("tbody > tr")?.querySelector(".open");
	const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey; // in a new tab
	if (open && !elsewhere && !event.target.closest(".select") && getSelection().isCollapsed) {
		event.preventDefault();
		detail.openedBy(open);
		address.go(open.getAttribute("href"), { replace: address.read().query.has("request") });
	}
});

// What is selected.

table.addEventListener("change", (event) => {
	const request = requests.get(event.target.closest("tr"));
	if (event.target.checked) {
		selected.set(request.id, request);
	} else {
		selected.delete(request.id);
	}
	showSelected();
});

function select(chosen) {
	selected.clear();
	chosen.forEach((request) => selected.set(request.id, request));
	for (const box of table.querySelectorAll("tbody input")) {
		box.checked = selected.has(box.closest("tr").dataset.id);
	}
	showSelected();
}

function showSelected() {
	const none = selected.size === 0;
	byId("selected").textContent = none ? "" : `${plural(selected.size, "request")} selected`;
	byId("rerun-selected").hidden = byId("clear-selected").hidden = none;
}

byId("clear-selected").addEventListener("click", () => {
	select([]);
	move(log.rows()[0]); // the button is gone
});
byId("rerun-selected").onclick = () => bulk.open(() => [...selected.values()], () => {
	select([]);
	sent();
});
byId("rerun-all").onclick = () => bulk.open(() => bulk.allFailed(filters.read()), sent);
byId("refresh").addEventListener("click", () => {
	fill();
	log.restart();
});

// sent has the list show what was just sent, unless somebody reads further down.
function sent() {
	if (window.scrollY < window.innerHeight) {
		log.restart();
	}
}
detail.onSent(sent);
