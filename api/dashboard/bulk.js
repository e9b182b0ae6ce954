// Re-runs many failed requests. Those of one event and webhook are one delivery,
// which is sent once, and not if it has succeeded since.

import { call } from "./api.js";
import { byId, clamped, element, foreign, plural } from "./parts.js";

const dialog = byId("bulk");
const part = (name) => dialog.querySelector(`.${name}`);
const write = (name, sentence) => { part(name).textContent = sentence; };
const progress = dialog.querySelector("progress");
const [start, stop, close] = ["start", "stop", "close"].map(part);
const lanes = 4; // requests at a time

let done, queue, stopped, sent, failures;

// open finds out which of some requests are still to be sent, says so, and waits
// for the word. Afterwards it calls then.
export async function open(requests, then) {
	[done, queue, stopped, sent, failures] = [then, [], false, 0, 0];
	write("count", "Counting…");
	["explained", "tally", "failures"].forEach((name) => write(name, ""));
	progress.hidden = true;
	show(stop);
	dialog.showModal();
	const mine = queue;
	try {
		const found = await requests();
		// The newest of each delivery: ids rise with time.
		const newest = new Map(found.toSorted((a, b) => (a.id < b.id ? -1 : 1)).map((each) => [`${each.event_id} ${each.webhook_id}`, each]));
		await inLanes([...newest.values()], async (request) => {
			if (await undelivered(request)) {
				mine.push(request);
			}
		});
		if (mine === queue) {
			ask(found.length, newest.size);
		}
	} catch (problem) {
		write("count", `Nothing was sent. ${problem.message}`);
		show(close);
	}
}

export async function allFailed(filters) {
	const query = new URLSearchParams(filters);
	query.set("status", "failed");
	query.set("limit", 200);
	const found = [];
	for (let next = ""; next !== null && !stopped;) {
		const page = await call(`requests?${query}${next && `&cursor=${next}`}`);
		found.push(...page.data);
		write("count", `Counting: ${plural(found.length, "failed request")} so far…`);
		next = page.next_cursor;
	}
	return found;
}

// undelivered says whether no other attempt has delivered what a request was to.
async function undelivered(request) {
	const { deliveries } = await call(`events/${request.event_id}`).catch((problem) => {
		if (problem.status !== 404) {
			throw problem;
		}
		return { deliveries: [] }; // it can not be sent any more
	});
	return deliveries.some((each) => each.webhook_id === request.webhook_id && each.status !== "success");
}

// inLanes does a few at a time, until nothing is left, or it was stopped.
async function inLanes(items, work) {
	const mine = queue; // another one if it was opened anew
	await Promise.all(Array.from({ length: lanes }, async () => {
		while (items.length > 0 && !stopped && mine === queue) {
			await work(items.shift());
		}
	}));
}

// ask says how many would be sent, of how many requests and deliveries.
function ask(requests, deliveries) {
	const n = stopped ? 0 : queue.length;
	queue.length = n;
	const [earlier, over] = [requests - deliveries, deliveries - n];
	write("count", n === 0 ? "There is nothing to re-run." : `${plural(n, "request")} will be sent again.`);
	write("explained", stopped ? "Stopped." : [
		`${plural(requests, "failed request")} found.`,
		earlier > 0 && `${plural(earlier, "is an earlier attempt", "are earlier attempts")} of the same deliveries.`,
		over > 0 && `${plural(over, "delivery has", "deliveries have")} succeeded since, or can no longer be sent.`,
		n > 0 && "An endpoint that does not check event_id may process what it gets twice.",
	].filter(Boolean).join(" "));
	[progress.max, progress.value] = [n, 0];
	start.textContent = "Re-run";
	offer();
}

// offer waits for the word if something is left.
function offer() {
	const buttons = queue.length > 0 ? [start, close] : [close];
	show(...buttons);
	buttons[0].focus();
}

async function run() {
	stopped = false;
	write("explained", "");
	progress.hidden = false;
	show(stop);
	stop.focus();
	const mine = queue;
	await inLanes(mine, async (request) => {
		const { status, message, error = message } = await call(`requests/${request.id}/rerun`, { method: "POST" }).catch((problem) => problem);
		if (mine !== queue) {
			return;
		}
		if ([0, 401, 429, 503].includes(status)) {
			queue.push(request); // Caddy did not take it, or did not say so
			stopped = true;
			write("explained", message);
		} else {
			tell(request, error);
		}
	});
	if (mine !== queue) {
		return;
	}
	done();
	start.textContent = "Continue";
	offer();
}

function tell(request, error) {
	progress.value = ++sent;
	if (error && ++failures <= 20) {
		part("failures").append(element("li", clamped("span", request.url), foreign("span", error)));
	}
	write("tally", `${sent.toLocaleString()} of ${progress.max.toLocaleString()} sent: ` +
		`${(sent - failures).toLocaleString()} succeeded, ${failures.toLocaleString()} failed.`);
}

function show(...buttons) {
	[start, stop, close].forEach((button) => { button.hidden = !buttons.includes(button); });
}

start.onclick = run;
stop.onclick = dialog.oncancel = () => { stopped = true; };
close.onclick = () => dialog.close();
// The button that had the focus may be gone.
dialog.onclose = () => document.activeElement.matches("body, #bulk *") && document.querySelector("#requests tr a[tabindex='0']")?.focus();
