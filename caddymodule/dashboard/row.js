// Parts that requests are shown with, in the list and beside it.

import { link } from "./address.js";
import { element, foreign } from "./dom.js";
import { duration, timeElement } from "./time.js";

export function badge(status) {
	return element("span", { className: `badge ${status}` }, status);
}

export const codeOf = (request) => String(request.status_code ?? "--");

export function attemptOf(request) {
	return request.attempt === null ? "--" : `${request.attempt}/${request.max_attempts}`;
}

// outcome sums up a request that has just been sent, with a link to it.
export function outcome(request) {
	return [
		badge(request.status), ` ${codeOf(request)} · ${duration(request.duration_ms)} `,
		...(request.error ? [foreign("span", request.error), " "] : []),
		element("a", { href: link("requests", { request: request.id }) }, "Show request"),
	];
}

// row makes the row of a request, with a link to it. Failed ones can be selected.
export function row(request, { selected, href }) {
	const cell = (className, ...children) => element("td", { role: "cell", className }, ...children);
	const open = foreign("a", request.url, { href, tabIndex: -1, className: "open" });
	const select = request.status === "failed"
		? element("input", { type: "checkbox", tabIndex: -1, checked: selected, ariaLabel: `Select ${request.url}` })
		: null;
	const made = element(
		"tr", { role: "row" },
		cell("select", select),
		cell("status", badge(request.status)),
		cell("code", codeOf(request)),
		cell("url", open),
		cell("type", foreign("span", request.event_type)),
		cell("attempt", attemptOf(request)),
		cell("trigger", request.trigger),
		cell("duration number", duration(request.duration_ms)),
		cell("time", timeElement(request.started_at)),
	);
	made.dataset.id = request.id;
	return made;
}
