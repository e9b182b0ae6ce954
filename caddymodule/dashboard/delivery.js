// What else is known of a request's delivery: its attempts, when the next one is,
// and how the event's other deliveries stand.

import { link } from "./address.js";
import { call } from "./api.js";
import { element, foreign, plural } from "./dom.js";
import { attemptOf, badge, codeOf } from "./row.js";
import { countdown, duration, timeElement } from "./time.js";

const again = 3000; // milliseconds from when an attempt was due until it is looked for

export class Delivery {
	section = element("div", { className: "delivery" });
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
		const others = deliveries.filter((each) => each.webhook_id !== webhook);
		this.section.replaceChildren(
			element("h3", {}, "Attempts"),
			element("ol", {}, ...requests.reverse().map((each) => this.#attempt(each)), this.#next(own)),
			...(others.length > 0 ? this.#others(others) : []),
		);
	}

	#attempt(request) {
		const shown = request.id === this.#request.id;
		const name = request.attempt === null ? request.trigger : `Attempt ${attemptOf(request)}`;
		return element(
			"li", { className: request.status, ...(shown && { "aria-current": "true" }) },
			shown ? element("b", {}, name) : element("a", { href: link("requests", { request: request.id }) }, name),
			" ", badge(request.status), ` ${codeOf(request)} · ${duration(request.duration_ms)} · `, timeElement(request.started_at),
		);
	}

	// next is the entry of the attempt that is to come, null if there is none.
	#next(delivery) {
		if (delivery?.status !== "pending" || !delivery.next_attempt_at) {
			return null;
		}
		const left = element("span");
		const tick = () => {
			const due = new Date(delivery.next_attempt_at) <= Date.now();
			left.textContent = due ? "Next attempt is due" : `Next attempt in ${countdown(delivery.next_attempt_at)}`;
			this.#timer = due ? setTimeout(() => this.load(), again) : setTimeout(tick, 1000);
		};
		tick();
		return element("li", { className: "pending" }, left);
	}

	#others(deliveries) {
		return [
			element("h3", {}, "Other webhooks of this event"),
			element("ul", {}, ...deliveries.map((each) => element(
				"li", {}, badge(each.status), " ", foreign("span", each.url, { className: "url" }), ` ${plural(each.attempts, "attempt")}`,
			))),
			element("a", { href: link("requests", { event_id: this.#request.event_id }) }, "All requests of this event"),
		];
	}
}
