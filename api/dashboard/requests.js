// The page of requests: the log, and what is selected in it.

import * as address from "./address.js";
import { call } from "./api.js";
import * as bulk from "./bulk.js";
import * as detail from "./detail.js";
import * as live from "./live.js";
import { Log } from "./log.js";
import { byId, element, head, inPlace, plural, pointed, row, whileSeen } from "./parts.js";
import { load } from "./webhooks.js";

const frame = document.querySelector(".window");
const table = frame.querySelector("table");
const state = document.querySelector(".list .state");
const end = document.querySelector(".end");
const [firstPage, otherPages] = [50, 200]; // requests: few at first, so that something is there

const selected = new Map(); // failed requests by their id
let asked = null; // the filters of what is shown
let current = null; // the id of the request of the row that Tab leads to
let known = true; // whether the webhooks and types could be read

table.append(head());
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
		const made = row(request, selected.has(request.id));
		mark(made);
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
live.bind(log, detail.note);

export function enter() {
	asked = null; // much may have happened
	fill();
}

// show shows what the address says.
export function show() {
	address.showFilters();
	live.showOverview();
	const now = address.filters();
	if (now.toString() !== asked) {
		asked = now.toString();
		selectNone();
		log.restart(true);
		live.follow(now);
	}
	log.rows().forEach(mark);
	// The panel takes its room from the list.
	const id = address.read().query.get("request") ?? detail.shown;
	const seen = log.rows().filter(inSight);
	inPlace(seen.find(({ request }) => request.id === id) ?? seen[0], () => detail.show());
}

function inSight(made) {
	const { top } = made.getBoundingClientRect();
	return top >= 0 && top < window.innerHeight;
}

// mark has a row lead to its request, and says whether that is shown.
function mark(made) {
	const { id } = made.request;
	made.ariaCurrent = id === address.read().query.get("request");
	made.querySelector(".open").href = address.changed({ request: id });
}

export function leave() {
	live.follow(null);
	detail.show(null); // a modal one would block the other page
}

export function recover() {
	log.again();
	live.reopen();
	if (!known) {
		fill();
	}
	detail.recover();
}

async function fill() {
	known = await load().then(address.fillFilters).then(() => true, () => false); // the list says what is wrong
}

whileSeen(byId("requests"), fill);

// told shows how the list stands.
function told({ pages, empty, whole, reading, problem }) {
	const none = address.filters().size > 0
		? [
			element("h3", "No requests match"),
			element("p", "Nothing in the log matches the filters."),
			element("button", { onclick: byId("clear-filters").onclick }, "Clear filters"),
		]
		: [
			element("h3", "No requests yet"),
			element("p", "Each request that is sent to a webhook appears here, with its response."),
		];
	const wrong = problem && [
		element("p", ...problem.errors.map(({ field, detail }) => `${field}: ${detail} `), problem.errors.length === 0 && problem.message),
		element("button", { onclick: () => log.again() }, "Try again"),
	];
	const instead = pages === 0 && wrong;
	frame.hidden = pages === 0 || empty;
	state.hidden = !(empty || instead);
	state.replaceChildren(...instead || none);
	const how = reading ? "Loading…" : whole ? "No more requests." : "";
	if (state.hidden && wrong) {
		end.replaceChildren(...wrong);
	} else if (end.textContent !== how) {
		end.textContent = how;
	}
	end.hidden = !state.hidden;
	byId("rerun-all").hidden = frame.hidden || address.filters().get("status") === "success";
}

// Keys. Tab leads to one row, and arrow keys from there to the others.

function makeReachable() {
	const rows = log.rows();
	const at = rows.find((each) => each.request.id === current) ?? rows[0];
	table.querySelectorAll("tbody [tabindex='0']").forEach((part) => { part.tabIndex = -1; });
	at?.querySelectorAll("a, input").forEach((part) => { part.tabIndex = 0; });
}

function move(to) {
	to?.querySelector(".open").focus();
}

table.addEventListener("focusin", ({ target }) => {
	const focused = target.closest("tbody > tr");
	if (focused) {
		current = focused.request.id;
		makeReachable();
	}
});

table.onkeydown = (event) => {
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
};

// A click anywhere in a row opens its request, unless it selects it, or text in it,
// or asks for a new tab. If another request is shown already its address is replaced,
// so that Back leads out of the panel at once.
table.onclick = (event) => {
	const open = event.target.closest("tbody > tr")?.querySelector(".open");
	const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey || event.target.closest(".select");
	if (open && !elsewhere && getSelection().isCollapsed) {
		event.preventDefault();
		detail.openedBy(open);
		address.go(open.getAttribute("href"), address.read().query.has("request"));
	}
};

// What is selected.

table.onchange = ({ target }) => {
	const { request } = target.closest("tr");
	if (target.checked) {
		selected.set(request.id, request);
	} else {
		selected.delete(request.id);
	}
	showSelected();
};

function selectNone() {
	selected.clear();
	table.querySelectorAll("tbody input").forEach((box) => { box.checked = false; });
	showSelected();
}

function showSelected() {
	const none = selected.size === 0;
	inPlace(pointed(), () => {
		byId("selected").textContent = none ? "" : `${plural(selected.size, "request")} selected`;
		byId("rerun-selected").hidden = byId("clear-selected").hidden = none;
	});
}

byId("clear-selected").onclick = () => {
	selectNone();
	move(log.rows()[0]); // the button is gone
};
byId("rerun-selected").onclick = () => bulk.open(() => [...selected.values()], selectNone);
byId("rerun-all").onclick = () => bulk.open(() => bulk.allFailed(address.filters()), () => {});
byId("refresh").onclick = () => {
	fill();
	log.restart();
};
