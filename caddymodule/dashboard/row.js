// Parts that requests are shown with, in the list and beside it.

import { link } from "./address.js";
import { element, foreign } from "./dom.js";
import { duration, timeElement } from "./time.js";

export const badge = (status) => element(`span.badge.${status}`, status);

export const codeOf = (request) => String(request.status_code ?? "--");

export function attemptOf(request) {
	return request.attempt === null ? "--" : `${request.attempt}/${request.max_attempts}`;
}

// outcome sums up a request that has just been sent, with a link to it.
export function outcome(request) {
	return [
		badge(request.status), ` ${codeOf(request)} · ${duration(request.duration_ms)} `,
		request.error && foreign("span", request.error), " ",
		element("a", { href: link("requests", { request: request.id }) }, "Show request"),
	];
}

const columns = {
	select: "Select", status: "Status", code: "Code", url: "URL", type: "Event type", attempt: "Attempt",
	trigger: "Trigger", duration: "Duration", time: "Time",
};

// The roles say what the elements are also where CSS makes no table of them.
const tableRow = (role, cells) => element("tr", { role: "row" }, ...Object.entries(cells).map(
	([column, content]) => element(`${role === "cell" ? "td" : "th"}.${column}`, { role }, content),
));

export const head = () => element("thead", { role: "rowgroup" }, tableRow("columnheader", columns));

// row makes the row of a request, with a link to it. Failed ones can be selected.
export function row(request, { selected, href }) {
	const made = tableRow("cell", {
		select: request.status === "failed" &&
			element("input", { type: "checkbox", tabIndex: -1, checked: selected, ariaLabel: `Select ${request.url}` }),
		status: badge(request.status),
		code: codeOf(request),
		url: foreign("a.open", request.url, { href, tabIndex: -1 }),
		type: foreign("span", request.event_type),
		attempt: attemptOf(request),
		trigger: request.trigger,
		duration: duration(request.duration_ms),
		time: timeElement(request.started_at),
	});
	made.dataset.id = request.id;
	return made;
}
