// The panel that shows one request: beside the list where there is room, and over
// it where there is none.

import * as address from "./address.js";
import { call } from "./api.js";
import { bodySection } from "./body.js";
import { Delivery } from "./delivery.js";
import { busy, byId, copyButton, element, foreign } from "./dom.js";
import { attemptOf, badge, codeOf, outcome } from "./row.js";
import { duration, exactTime, relativeTime } from "./time.js";
import { curl, verifySection } from "./verify.js";

const panel = byId("detail");
const content = panel.querySelector(".content");
const title = byId("detail-title");
const rerun = byId("rerun");
const result = byId("rerun-result");
const wide = window.matchMedia("(min-width: 64rem)");

let shown = null; // the id of the request, null if the panel is closed
let failed = false; // it could not be read
let opener = null; // what has the focus when the panel is closed
let delivery = null; // the request's

let sent = () => {}; // called after a re-run

export function onSent(listener) {
	sent = listener;
}

export function openedBy(link) {
	opener = link;
}

// show shows the request that the address names, if it names one.
export function show() {
	const id = address.read().query.get("request");
	if (id === shown) {
		return;
	}
	delivery?.stop();
	shown = id;
	result.replaceChildren();
	if (id === null) {
		panel.close();
		return;
	}
	open();
	content.replaceChildren(element("p", { className: "hint" }, "Loading…"));
	load();
}

export function recover() {
	if (failed && shown !== null) {
		load();
	}
}

// open opens the panel in the way that there is room for.
function open() {
	panel.close();
	if (wide.matches) {
		panel.show();
	} else {
		panel.showModal();
	}
	title.focus({ preventScroll: true });
}
wide.addEventListener("change", () => {
	if (shown !== null) {
		open();
	}
});

function close() {
	address.set({ request: "" }, { replace: false });
	const again = opener?.isConnected ? opener : document.querySelector("#requests tr a[tabindex='0']");
	again?.focus();
}

async function load() {
	const id = shown;
	try {
		const request = await call(`requests/${encodeURIComponent(id)}`);
		if (id === shown) {
			failed = false;
			fill(request);
		}
	} catch (problem) {
		if (id === shown) {
			failed = true;
			rerun.hidden = true;
			content.replaceChildren(
				element("p", {}, problem.status === 404 ? "There is no such request, or not any more." : problem.message),
			);
		}
	}
}

function fill(request) {
	rerun.hidden = false;
	delivery = new Delivery(request);
	content.replaceChildren(
		facts(request),
		bodySection("Response body", request.response_body, request.response_truncated ? "Only the beginning was kept." : ""),
		bodySection("Request body", request.request_body, request.request_body === null ? "The event is no longer kept." : ""),
		delivery.section,
		request.request_body === null ? "" : curlSection(request),
		verifySection(),
	);
	content.scrollTop = 0;
	delivery.load();
}

const bothTimes = (time) => `${exactTime(time)} (${relativeTime(time)})`;

function facts(request) {
	const list = element("dl");
	const fact = (name, ...value) => list.append(element("div", {}, element("dt", {}, name), element("dd", {}, ...value)));
	fact("Status", badge(request.status));
	fact("Status code", codeOf(request));
	if (request.error) {
		fact("Error message", foreign("span", request.error, { className: "error" }));
	}
	fact("Full URL", foreign("span", request.url), " ", copyButton("Copy full URL", () => request.url));
	fact("Event type", foreign("span", request.event_type));
	fact("Event time", bothTimes(request.occurred_at));
	fact("Event id", element("code", {}, request.event_id), " ", copyButton("Copy event id", () => request.event_id));
	fact("Trigger", request.trigger);
	fact("Attempt", attemptOf(request));
	fact("Started", bothTimes(request.started_at));
	fact("Duration", duration(request.duration_ms));
	return list;
}

function curlSection(request) {
	const command = curl(request);
	return element(
		"details", {}, element("summary", {}, "Copy as curl"),
		element("pre", { tabIndex: 0, role: "region", ariaLabel: "curl command" }, command),
		copyButton("Copy curl command", () => command),
	);
}

rerun.addEventListener("click", () => busy(rerun, async () => {
	const id = shown;
	result.textContent = "Sending…";
	let says;
	try {
		says = outcome(await call(`requests/${id}/rerun`, { method: "POST" }));
	} catch (problem) {
		says = [problem.message];
	}
	if (id === shown) {
		result.replaceChildren(...says);
		delivery.load();
	}
	sent();
}));

panel.querySelector(".close").addEventListener("click", close);
panel.addEventListener("cancel", (event) => {
	event.preventDefault(); // the address closes it
	close();
});
panel.addEventListener("keydown", (event) => {
	if (event.key === "Escape" && !panel.matches(":modal")) {
		close();
	}
});
