// Re-runs many failed requests. Those of one event and webhook are one delivery,
// which is sent once, and not if it has succeeded since.

import { call } from "./api.js";
import { byId, element, foreign, plural } from "./dom.js";

const dialog = byId("bulk");
const part = (name) => dialog.querySelector(`.${name}`);
const write = (name, sentence) => { part(name).textContent = sentence; };
const progress = dialog.querySelector("progress");
const [start, stop, close] = ["start", "stop", "close"].map(part);
const lanes = 4; // requests at a time
const maxFailures = 20; // that are named

let done = () => {};
let queue = []; // what is still to be sent
let stopped = false;
let sent = 0;
let failures = 0;

// open finds out what requests() still leave to send, says so, and waits for the
// word. Afterwards then is called.
export async function open(requests, then) {
	[done, queue, stopped, sent, failures] = [then, [], false, 0, 0];
	write("count", "Counting…");
	write("explained", "");
	write("tally", "");
	part("failures").replaceChildren();
	progress.hidden = true;
	show(stop);
	dialog.showModal();
	try {
		const found = await requests();
		// The newest of each delivery: ids rise with time.
		const newest = new Map(found.toSorted((a, b) => (a.id < b.id ? -1 : 1)).map((each) => [`${each.event_id} ${each.webhook_id}`, each]));
		queue = await notDelivered([...newest.values()]);
		ask(found.length, newest.size);
	} catch (problem) {
		write("count", `Nothing was sent. ${problem.message}`);
		show(close);
	}
}

// allFailed reads all failed requests that filters let through.
export async function allFailed(filters) {
	const query = new URLSearchParams(filters);
	query.set("status", "failed");
	query.set("limit", 200);
	const found = [];
	while (!stopped) {
		const { data, next_cursor: next } = await call(`requests?${query}`);
		found.push(...data);
		if (next === null) {
			break;
		}
		query.set("cursor", next);
		write("count", `Counting: ${plural(found.length, "failed request")} so far…`);
	}
	return found;
}

// notDelivered leaves out what a later attempt delivered, and what can not be
// sent any more.
async function notDelivered(requests) {
	const left = [];
	const looked = [...requests];
	await inLanes(looked, async (request) => {
		write("count", `Looking at which were delivered since: ${looked.length.toLocaleString()} to go…`);
		const { deliveries } = await call(`events/${request.event_id}`).catch((problem) => {
			if (problem.status !== 404) {
				throw problem;
			}
			return { deliveries: [] };
		});
		if (deliveries.some((each) => each.webhook_id === request.webhook_id && each.status !== "success")) {
			left.push(request);
		}
	});
	return left;
}

// inLanes does a few at a time, until nothing is left, or it was stopped.
async function inLanes(items, work) {
	await Promise.all(Array.from({ length: lanes }, async () => {
		while (items.length > 0 && !stopped) {
			await work(items.shift());
		}
	}));
}

// ask says how many would be sent, of how many requests and deliveries.
function ask(requests, deliveries) {
	if (stopped) {
		write("count", "Stopped. Nothing was sent.");
		show(close);
		return;
	}
	const n = queue.length;
	const [repeated, over] = [requests - deliveries, deliveries - n];
	write("count", n === 0 ? "There is nothing to send again." : `${plural(n, "request")} will be sent again.`);
	write("explained", [
		`${plural(requests, "failed request")} found.`,
		repeated > 0 && `${plural(repeated, "is an earlier attempt", "are earlier attempts")} of the same deliveries.`,
		over > 0 && `${plural(over, "delivery has", "deliveries have")} succeeded since, or can not be sent any more.`,
		n > 0 && "An endpoint that does not check event_id may process what it gets twice.",
	].filter(Boolean).join(" "));
	progress.max = Math.max(n, 1);
	progress.value = 0;
	start.textContent = "Re-run";
	offer();
}

// offer waits for the word if there is something left.
function offer() {
	const buttons = queue.length > 0 ? [start, close] : [close];
	show(...buttons);
	buttons[0].focus();
}

async function run() {
	stopped = false;
	progress.hidden = false;
	show(stop);
	stop.focus();
	await inLanes(queue, async (request) => {
		try {
			tell(request, (await call(`requests/${request.id}/rerun`, { method: "POST" })).error);
		} catch (problem) {
			if ([0, 401, 429, 503].includes(problem.status)) {
				queue.push(request); // Caddy did not take it, or did not say so
				stopped = true;
				write("explained", problem.message);
			} else {
				tell(request, problem.message);
			}
		}
	});
	done();
	start.textContent = "Go on";
	offer();
	tally();
}

function tell(request, error) {
	progress.value = ++sent;
	if (error && ++failures <= maxFailures) {
		part("failures").append(element("li", foreign("span", request.url), ": ", foreign("span", error)));
	}
	tally();
}

function tally() {
	const left = queue.length > 0 && stopped ? ` Stopped: ${plural(queue.length, "is", "are")} left.` : "";
	write("tally", `${sent.toLocaleString()} of ${progress.max.toLocaleString()} sent: ` +
		`${(sent - failures).toLocaleString()} succeeded, ${failures.toLocaleString()} failed.${left}`);
}

// show shows some of the buttons.
function show(...buttons) {
	for (const button of [start, stop, close]) {
		button.hidden = !buttons.includes(button);
	}
}

start.onclick = run;
stop.onclick = dialog.oncancel = () => { stopped = true; };
close.onclick = () => dialog.close();
