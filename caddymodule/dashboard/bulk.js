// Re-runs many failed requests. Those of one event and webhook are one delivery,
// which is sent once.

import { call } from "./api.js";
import { byId, element, foreign, plural } from "./dom.js";

const dialog = byId("bulk");
const part = (name) => dialog.querySelector(`.${name}`);
const progress = dialog.querySelector("progress");
const [start, stop, close] = ["start", "stop", "close"].map(part);
const lanes = 4; // requests at a time
const maxFailures = 20; // that are named

let sentSome = () => {};
let queue = []; // what is still to be sent
let stopped = false;
let sent = 0;
let failures = 0;

// open asks whether requests that were selected are to be sent again.
export function open(requests, done) {
	begin(done);
	const found = new Map();
	requests.forEach((request) => note(found, request));
	ask([...found.values()], requests.length, 0);
}

// openAll does so for all failed ones that filters let through.
export async function openAll(filters, done) {
	begin(done);
	const query = new URLSearchParams(filters);
	query.set("status", "failed");
	query.set("limit", 200);
	try {
		const found = new Map();
		let total = 0;
		for (let next = ""; next !== null && !stopped;) {
			const page = await call(`requests?${query}${next && `&cursor=${next}`}`);
			page.data.forEach((request) => note(found, request));
			total += page.data.length;
			part("count").textContent = `Counting: ${plural(total, "failed request")} so far…`;
			next = page.next_cursor;
		}
		const open = await notDelivered([...found.values()]);
		if (!stopped) {
			ask(open, total, found.size - open.length);
			return;
		}
		part("count").textContent = "Stopped. Nothing was sent.";
	} catch (problem) {
		part("count").textContent = `Nothing was sent. ${problem.message}`;
	}
	show({});
}

function begin(done) {
	sentSome = done;
	[queue, stopped, sent, failures] = [[], false, 0, 0];
	part("count").textContent = "Counting…";
	part("explained").textContent = part("tally").textContent = "";
	part("failures").replaceChildren();
	progress.hidden = true;
	show({ stop: true });
	dialog.showModal();
}

// note keeps the newest request of each delivery.
function note(found, request) {
	const delivery = `${request.event_id} ${request.webhook_id}`;
	if (!found.has(delivery) || found.get(delivery).started_at < request.started_at) {
		found.set(delivery, request);
	}
}

// notDelivered leaves out what a later attempt delivered, and what can not be
// sent any more.
async function notDelivered(requests) {
	let looked = 0;
	const left = [];
	await inLanes([...requests], async (request) => {
		const event = await call(`events/${request.event_id}`).catch((problem) => {
			if (problem.status === 404) {
				return { deliveries: [] };
			}
			throw problem;
		});
		if (event.deliveries.some((each) => each.webhook_id === request.webhook_id && each.status !== "success")) {
			left.push(request);
		}
		part("count").textContent = `Looking at which were delivered since: ${(++looked).toLocaleString()} of ${requests.length.toLocaleString()}…`;
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

// ask says how many would be sent, and waits for the word.
function ask(requests, total, delivered) {
	queue = requests;
	const repeated = total - requests.length - delivered;
	part("count").textContent = requests.length === 0
		? "There is nothing to send again."
		: `${plural(requests.length, "request")} will be sent again.`;
	part("explained").textContent = [
		`${plural(total, "failed request")} found.`,
		repeated > 0 ? `${plural(repeated, "is an earlier attempt", "are earlier attempts")} of the same deliveries.` : "",
		delivered > 0 ? `${plural(delivered, "delivery has", "deliveries have")} succeeded since, or can not be sent any more.` : "",
		requests.length > 0 ? "An endpoint that does not check event_id may process what it gets twice." : "",
	].join(" ");
	progress.max = Math.max(requests.length, 1);
	progress.value = 0;
	show({ start: requests.length > 0 });
	(requests.length > 0 ? start : close).focus();
}

async function run() {
	stopped = false;
	progress.hidden = false;
	show({ stop: true });
	stop.focus();
	await inLanes(queue, async (request) => {
		try {
			const answer = await call(`requests/${request.id}/rerun`, { method: "POST" });
			tell(request, answer.status === "success" ? "" : answer.error);
		} catch (problem) {
			if ([0, 401, 429, 503].includes(problem.status)) {
				queue.push(request); // Caddy did not take it, or did not say so
				stopped = true;
				part("explained").textContent = problem.message;
			} else {
				tell(request, problem.message);
			}
		}
	});
	sentSome();
	show({ start: queue.length > 0 });
	start.textContent = "Go on";
	(queue.length > 0 ? start : close).focus();
	tally();
}

function tell(request, error) {
	sent++;
	if (error) {
		failures++;
		if (failures <= maxFailures) {
			part("failures").append(element("li", {}, foreign("span", request.url), ": ", foreign("span", error)));
		}
	}
	progress.value = sent;
	tally();
}

function tally() {
	const left = queue.length > 0 && stopped ? ` Stopped: ${plural(queue.length, "is", "are")} left.` : "";
	part("tally").textContent = `${sent.toLocaleString()} of ${progress.max.toLocaleString()} sent: ` +
		`${(sent - failures).toLocaleString()} succeeded, ${failures.toLocaleString()} failed.${left}`;
}

// show shows the buttons that make sense.
function show({ start: may = false, stop: running = false }) {
	start.hidden = !may;
	stop.hidden = !running;
	close.hidden = running;
	start.textContent = "Re-run";
}

start.addEventListener("click", run);
stop.addEventListener("click", () => { stopped = true; });
close.addEventListener("click", () => dialog.close());
dialog.addEventListener("cancel", () => { stopped = true; });
