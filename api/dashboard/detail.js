// The panel that shows one request: beside the list where there is room, and over
// it where there is none.

import * as address from "./address.js";
import { call } from "./api.js";
import { bodySection, headerSection, verifySection } from "./body.js";
import { curlSection } from "./curl.js";
import { attemptOf, badge, byId, clamped, codeOf, copyButton, countdown, duration, element, exactTime, foreign, plural, timeElement } from "./parts.js";

const panel = byId("detail");
const content = panel.querySelector(".content");
const title = byId("detail-title");
const rerun = byId("rerun");
const result = byId("rerun-result");
const delivery = element("div.delivery");
const wide = window.matchMedia("(min-width: 64rem)");
const again = 3000; // milliseconds from when an attempt was due until it is looked for

export let shown = null; // the id of the request, null if the panel is closed
let request = null; // itself, null until it has been read
let opener = null; // what has the focus when the panel is closed
let timer; // of the countdown
let latest; // reading of the delivery

export function openedBy(link) {
	opener = link;
}

// show shows the request that the address names, if it names one.
export function show(id = address.read().query.get("request")) {
	if (id === shown) {
		return;
	}
	clearTimeout(timer);
	if (reruns.get(shown)?.refused) {
		reruns.delete(shown); // it may be possible by now
	}
	[shown, request] = [id, null];
	rerun.hidden = true;
	showRerun();
	if (id === null) {
		panel.close();
		return;
	}
	open();
	content.replaceChildren(element("p.hint", "Loading…"));
	load();
}

// note has the attempts read again when one has ended.
export function note({ event_id: event, webhook_id: webhook }) {
	if (event === request?.event_id && webhook === request.webhook_id) {
		readDelivery();
	}
}

export function recover() {
	if (shown !== null) {
		(request === null ? load : readDelivery)();
	}
}

function open() {
	panel.close();
	if (wide.matches) {
		panel.show();
	} else {
		panel.showModal();
	}
	title.focus({ preventScroll: true });
}
wide.onchange = () => shown !== null && open();

function close() {
	address.go(address.changed({ request: "" }), true);
	(opener?.isConnected ? opener : document.querySelector("#requests tr a[tabindex='0']"))?.focus({ preventScroll: true });
}

async function load() {
	const id = shown;
	const read = await call(`requests/${encodeURIComponent(id)}`).catch((problem) => problem);
	if (id !== shown) {
		return;
	}
	rerun.hidden = read instanceof Error;
	if (rerun.hidden) {
		content.replaceChildren(read.status === 404 ? "There is no such request, or it is no longer kept." : read.message);
		return;
	}
	request = read;
	const gone = request.request_body === null;
	delivery.replaceChildren();
	content.replaceChildren(
		facts(),
		bodySection("Response body", request.response_body, request.response_truncated && "Only the beginning was kept."),
		bodySection("Request body", request.request_body, gone && "The event is no longer kept."),
		headerSection(request),
		delivery,
		gone ? "" : curlSection(request),
		verifySection(request),
	);
	content.scrollTop = 0;
	readDelivery();
}

const bothTimes = (time) => element("span", `${exactTime(time)} (`, timeElement(time, "time.now"), ")");

function facts() {
	const fact = (name, ...value) => element("div", element("dt", name), element("dd", ...value));
	return element(
		"dl",
		fact("Status", badge(request.status)),
		fact("Status code", codeOf(request)),
		request.error && fact("Error message", foreign("span.error", request.error)),
		fact("Full URL", ...whole(request.url), " ", copyButton("Copy full URL", request.url)),
		fact("Event type", foreign("span", request.event_type)),
		fact("Event time", bothTimes(request.occurred_at)),
		fact("Event ID", element("code", request.event_id), " ", copyButton("Copy event ID", request.event_id)),
		fact("Trigger", request.trigger),
		fact("Attempt", attemptOf(request)),
		fact("Started", bothTimes(request.started_at)),
		fact("Duration", duration(request.duration_ms)),
	);
}

// whole is a text that may be very long.
function whole(text) {
	if (text.length < 200) {
		return [foreign("span", text)];
	}
	const shown = clamped("span", text);
	const all = element("button.quiet", { ariaExpanded: "false", onclick() { all.ariaExpanded = !shown.classList.toggle("clamp"); } }, "Show all");
	return [shown, all];
}

// readDelivery shows what else is known of the request's delivery: its attempts,
// when the next one is, and how the event's other deliveries stand.
async function readDelivery() {
	const of = request;
	const { event_id: event, webhook_id: webhook } = of;
	const asked = latest = {};
	const [attempts, { deliveries = [] }] = await Promise.all([
		call(`requests?limit=200&event_id=${event}&webhook_id=${webhook}`).then(({ data }) => data, () => null),
		call(`events/${event}`).catch(() => ({})),
	]);
	if (of !== request || asked !== latest || attempts === null) {
		return;
	}
	clearTimeout(timer);
	const own = deliveries.find((each) => each.webhook_id === webhook);
	const others = deliveries.filter((each) => each !== own);
	delivery.replaceChildren(
		element("h3", "Attempts"),
		element("ol", ...attempts.reverse().map(attempt), own?.status === "pending" && own.next_attempt_at && next(own.next_attempt_at)),
		...(others.length > 0 ? [
			element("h3", "Other webhooks for this event"),
			element("ul", ...others.map((each) => element(
				"li", badge(each.status), clamped("span", each.url), ` ${plural(each.attempts, "attempt")}`,
			))),
			element("a", { href: address.link("requests", { event_id: event }) }, "All requests for this event"),
		] : []),
	);
}

function attempt(each) {
	const name = each.attempt === null ? each.trigger : `Attempt ${attemptOf(each)}`;
	return element(
		`li.${each.status}`,
		each.id === shown ? element("b", { "aria-current": "true" }, name) : element("a", { href: address.toRequest(each.id) }, name),
		" ", ...summary(each),
	);
}

const summary = (of) => [badge(of.status), ` ${codeOf(of)} · ${duration(of.duration_ms)} · `, timeElement(of.started_at)];

// next is the entry of the attempt that is to come.
function next(time) {
	const made = element("li.pending");
	const tick = () => {
		const late = Date.now() - new Date(time);
		const due = late >= 0;
		made.textContent = due ? "Next attempt due now, unless the webhook is disabled" : `Next attempt in ${countdown(time)}`;
		timer = due ? setTimeout(() => (document.hidden ? tick : readDelivery)(), Math.max(again, late / 9)) : setTimeout(tick, 1000);
	};
	tick();
	return made;
}

// outcome sums up a request that has just been sent, with a link to it.
export function outcome(sent) {
	return [
		...summary(sent), " ", foreign("span", sent.error), " ",
		element("a", { href: address.toRequest(sent.id) }, "Show request"),
	];
}

// Re-runs that were asked for here go on while another request is shown: by the request's
// id, {sent: the new request} or {refused: why}, and running until there is either.
const reruns = new Map();
const running = {};

function showRerun() {
	const state = reruns.get(shown);
	rerun.ariaDisabled = state === running ? "true" : null;
	result.replaceChildren(...state?.sent ? outcome(state.sent) : [state === running ? "Sending…" : state?.refused ?? ""]);
}

rerun.onclick = async () => {
	const id = shown;
	if (reruns.get(id) === running) {
		return;
	}
	reruns.set(id, running);
	showRerun();
	reruns.set(id, await call(`requests/${id}/rerun`, { method: "POST" }).then((sent) => ({ sent }), ({ message }) => ({ refused: message })));
	if (id === shown) {
		showRerun();
		readDelivery();
	}
};

panel.querySelector(".close").onclick = close;
panel.oncancel = (event) => {
	event.preventDefault(); // the address closes it
	close();
};
panel.onkeydown = (event) => {
	if (event.key === "Escape" && !panel.matches(":modal")) {
		close();
	}
};
