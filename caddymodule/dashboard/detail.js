// The panel that shows one request: beside the list where there is room, and over
// it where there is none.

import * as address from "./address.js";
import { call } from "./api.js";
import { bodySection, curl, verifySection } from "./body.js";
import { busy, byId, copyButton, element, foreign, plural } from "./dom.js";
import { attemptOf, badge, codeOf, outcome } from "./row.js";
import { countdown, duration, exactTime, relativeTime, timeElement } from "./time.js";

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
	content.replaceChildren(element("p.hint", "Loading…"));
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
				element("p", problem.status === 404 ? "There is no such request, or not any more." : problem.message),
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
	const fact = (name, ...value) => element("div", element("dt", name), element("dd", ...value));
	return element(
		"dl",
		fact("Status", badge(request.status)),
		fact("Status code", codeOf(request)),
		request.error && fact("Error message", foreign("span.error", request.error)),
		fact("Full URL", foreign("span", request.url), " ", copyButton("Copy full URL", () => request.url)),
		fact("Event type", foreign("span", request.event_type)),
		fact("Event time", bothTimes(request.occurred_at)),
		fact("Event id", element("code", request.event_id), " ", copyButton("Copy event id", () => request.event_id)),
		fact("Trigger", request.trigger),
		fact("Attempt", attemptOf(request)),
		fact("Started", bothTimes(request.started_at)),
		fact("Duration", duration(request.duration_ms)),
	);
}

function curlSection(request) {
	const command = curl(request);
	return element(
		"details", element("summary", "Copy as curl"),
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

// What else is known of a request's delivery: its attempts, when the next one is,
// and how the event's other deliveries stand.

const again = 3000; // milliseconds from when an attempt was due until it is looked for

class Delivery {
	section = element("div.delivery");
	#request;
	#timer;
	#stopped = false;

	constructor(request) {
		this.#request = request;
	}

	// stop ends the countdown.
	stop() {
		this.#stopped = true;
		clearTimeout(this.#timer);
	}

	async load() {
		const { event_id: event, webhook_id: webhook } = this.#request;
		const [requests, deliveries] = await Promise.all([
			call(`requests?limit=200&event_id=${event}&webhook_id=${webhook}`).then(({ data }) => data, () => []),
			call(`events/${event}`).then((found) => found.deliveries, () => []),
		]);
		if (this.#stopped) {
			return;
		}
		clearTimeout(this.#timer);
		const own = deliveries.find((each) => each.webhook_id === webhook);
		const others = deliveries.filter((each) => each !== own);
		this.section.replaceChildren(
			element("h3", "Attempts"),
			element("ol", ...requests.reverse().map((each) => this.#attempt(each)), this.#next(own)),
			...(others.length > 0 ? this.#others(others) : []),
		);
	}

	#attempt(request) {
		const shown = request.id === this.#request.id;
		const name = request.attempt === null ? request.trigger : `Attempt ${attemptOf(request)}`;
		return element(
			`li.${request.status}`, shown ? { "aria-current": "true" } : {},
			shown ? element("b", name) : element("a", { href: address.link("requests", { request: request.id }) }, name),
			" ", badge(request.status), ` ${codeOf(request)} · ${duration(request.duration_ms)} · `, timeElement(request.started_at),
		);
	}

	// next is the entry of the attempt that is to come, if there is one.
	#next(delivery) {
		if (delivery?.status !== "pending" || !delivery.next_attempt_at) {
			return null;
		}
		const made = element("li.pending");
		const tick = () => {
			const due = new Date(delivery.next_attempt_at) <= Date.now();
			made.textContent = due ? "Next attempt is due" : `Next attempt in ${countdown(delivery.next_attempt_at)}`;
			this.#timer = due ? setTimeout(() => this.load(), again) : setTimeout(tick, 1000);
		};
		tick();
		return made;
	}

	#others(deliveries) {
		return [
			element("h3", "Other webhooks of this event"),
			element("ul", ...deliveries.map((each) => element(
				"li", badge(each.status), " ", foreign("span", each.url), ` ${plural(each.attempts, "attempt")}`,
			))),
			element("a", { href: address.link("requests", { event_id: this.#request.event_id }) }, "All requests of this event"),
		];
	}
}
