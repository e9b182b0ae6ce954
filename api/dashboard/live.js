// What comes by itself: requests and figures.
//
// Requests that end come as server-sent events, and are put into the list a few times
// a second. While somebody points at it, reads further down, or moves in it by the
// keyboard, it stays as it is, and a button says how many came.

import * as address from "./address.js";
import { call } from "./api.js";
import { byId, chart, duration, element, inPlace, outcomes, plural, pointed, whileSeen } from "./parts.js";

const gather = 300; // milliseconds that one waits for others
const rest = 2000; // milliseconds from one reading of the list to the next
const again = 5000; // milliseconds until a stream that was refused is asked for again
const most = 50; // are put in at a time; when there are more, the list is read anew

const pause = byId("pause");
const newer = byId("newer");

let list; // a Log
let noted; // told of each request
let query = null; // the filters of what is followed, null for nothing
let since, until; // of the list; no time is neither before nor after
let source;
let position; // in the log's sequence, undefined before one is known
let arrived = []; // what the list does not show yet, but for most at most
let count = 0; // of all of it
let behind = false; // the list may lack what ended just before the stream began
let anew = false; // the list has to be read anew
let readAt = -rest;
let flushing, retrying; // timers

export function bind(...to) {
	[list, noted] = to;
}

// follow follows the requests that filters let through from now on, null for none.
export function follow(filters) {
	query = filters && new URLSearchParams(filters);
	[since, until] = ["since", "until"].map((name) => {
		const time = new Date(query?.get(name) ?? NaN);
		query?.delete(name); // the stream has no such filters
		return time;
	});
	position = undefined;
	settle();
	reopen();
}

// reopen follows on from where it was, if that is wanted now. Browsers open few
// connections at a time, so that windows that nobody sees do without.
export function reopen() {
	source?.close();
	clearTimeout(retrying);
	const paused = pause.ariaPressed === "true";
	if (query === null || paused || document.hidden) {
		say(paused ? "Paused" : "");
		return;
	}
	outdate();
	source = new EventSource(`api/requests/stream?${query}${position ? `&last_event_id=${encodeURIComponent(position)}` : ""}`);
	source.onopen = () => say("Live");
	source.onerror = broken;
	source.onmessage = ({ data, lastEventId }) => {
		position = lastEventId;
		note(JSON.parse(data));
	};
	source.addEventListener("start", ({ lastEventId }) => {
		behind ||= !position;
		position = lastEventId;
		plan(0);
	});
	source.addEventListener("reset", ({ lastEventId }) => {
		position = lastEventId;
		anew = true;
		plan(0);
	});
}

// broken asks for the reason, which EventSource keeps to itself. It tries again by
// itself, unless it was refused.
async function broken() {
	const { readyState } = source;
	say("Reconnecting…");
	const { status } = await call(`requests/stream?${query}`).catch((problem) => problem) ?? {};
	if (status === 429) {
		say("Not live: too many windows are open");
	}
	if ([400, 401, 403].includes(status)) {
		say("");
	} else if (readyState === EventSource.CLOSED) {
		clearTimeout(retrying);
		retrying = setTimeout(reopen, again);
	}
}

function say(what) {
	const live = what === "Live";
	byId("live").textContent = what;
	byId("live").classList.toggle("success", live);
	byId("refresh").hidden = live;
}

function note(request) {
	const at = new Date(request.started_at);
	noted(request);
	outdate();
	if (!(at < since || at >= until)) {
		count++;
		anew ||= count > most;
		if (!anew) {
			arrived.push(request);
		}
		plan(gather);
	}
}

function plan(wait) {
	flushing ??= setTimeout(flush, wait);
}

function flush() {
	flushing = undefined;
	if (list.held()) {
		newer.hidden = count === 0;
		newer.textContent = plural(count, "new request");
		return;
	}
	const early = anew ? readAt + rest - performance.now() : 0;
	if (early > 0 || list.restarting) {
		plan(Math.max(early, gather));
		return;
	}
	const long = !anew && !list.add(arrived);
	if (anew) {
		const read = count;
		readAt = performance.now();
		list.renew().then((well) => {
			if (!well) {
				[anew, count] = [true, count + read];
				plan(0);
			}
		});
	} else if (behind) {
		list.catchUp().then((done) => { behind ||= !done; });
	}
	settle();
	if (long) {
		anew = true;
		plan(0);
	}
}

// settle forgets what has arrived: the list has it, or is another one.
function settle() {
	[arrived, count, behind, anew] = [[], 0, false, false];
	newer.hidden = true;
}

// Whoever comes back to the top, or leaves the rows, has waiting ones put in.
for (const sign of ["scroll", "focusin", "pointerout"]) {
	document.addEventListener(sign, () => {
		if (count > 0 || behind || anew) {
			plan(gather);
		}
	});
}
document.addEventListener("visibilitychange", reopen);
pause.onclick = () => {
	pause.ariaPressed = pause.ariaPressed !== "true";
	reopen();
};
newer.onclick = () => {
	list.scrollToTop();
	flush();
};

// The overview: how the requests of the last hour, day or week went.

const place = byId("figures");
const periods = [...document.querySelectorAll("[data-period]")];
const often = 5000; // milliseconds from one reading of the figures to the next

let period;
let coming; // the timer of the next one

export function showOverview() {
	const { query } = address.read();
	const now = periods.find((each) => each.dataset.period === query.get("period")) ?? periods[1];
	periods.forEach((each) => { each.ariaPressed = each === now; });
	if (period !== now.dataset.period) {
		period = now.dataset.period;
		readFigures();
	}
}

function outdate() {
	coming ??= setTimeout(readFigures, often);
}

async function readFigures() {
	clearTimeout(coming);
	coming = undefined;
	const asked = period;
	const stats = await call(`stats?period=${asked}`).catch(() => null);
	if (stats && asked === period) {
		draw(stats);
	}
}
whileSeen(place, readFigures);

function draw(stats) {
	const { slices, pending, disabled_pending: waiting, successes, failures, p50_ms: p50 } = stats;
	const all = successes + failures;
	const rate = (of) => of.successes / (of.successes + of.failures || 1);
	const percent = { style: "percent", maximumFractionDigits: 2, roundingMode: "floor" }; // all but one are not all
	const latency = (of) => (of.p50_ms === null ? "none" : `${duration(of.p50_ms)} / ${duration(of.p99_ms)}`);
	inPlace(pointed(), () => place.replaceChildren(
		tile("Success rate", all === 0 ? "--" : rate(stats).toLocaleString(undefined, percent), plural(failures, "failure"), chart(
			outcomes(stats), slices, { bad: (of) => of.failures && 1 - rate(of), good: rate },
		)),
		tile("Requests", all.toLocaleString(), "", chart(outcomes(stats), slices)),
		tile("Latency", p50 === null ? "--" : latency(stats), "p50 / p99", chart(
			"Latency", slices, { p50: (of) => of.p50_ms, p99: (of) => of.p99_ms - of.p50_ms }, latency,
		)),
		tile("Pending now", pending.toLocaleString(), waiting > 0 && `${waiting.toLocaleString()} for disabled webhooks`),
	));
}

const tile = (name, figure, note, drawn) => element(
	"div.card", element("h3", name), element("p", element("b", figure), " ", element("span.hint", note)), drawn,
);

for (const each of periods) {
	each.onclick = () => address.go(address.changed({ period: each.dataset.period }), true);
}
