// The filters of the log. They are kept in the address, as the API takes them.

import * as address from "./address.js";
import { byId, element } from "./dom.js";

const form = byId("filters");
const names = ["webhook_id", "status", "event_type", "event_id", "since", "until"];
const times = ["since", "until"];
const hour = 3_600_000; // milliseconds

// read gives the filters in the address as a query of the API.
export function read() {
	const { query } = address.read();
	return new URLSearchParams(names.filter((name) => query.get(name)).map((name) => [name, query.get(name)]));
}

// show has the form say what the address says, but for what is being typed.
export function show() {
	const filters = read();
	for (const name of names) {
		const value = filters.get(name) ?? "";
		const field = form.elements[name];
		if (field !== document.activeElement || field.matches("select")) {
			field.value = times.includes(name) ? toLocal(value) : value;
		}
		if (name === "webhook_id" && field.value !== value) {
			field.append(element("option", { value, selected: true }, value)); // until its URL is known, or if it is gone
		}
	}
	byId("clear-filters").hidden = filters.size === 0;
	byId("show-filters").textContent = filters.size > 0 ? `Filters (${filters.size.toLocaleString()})` : "Filters";
	check();
}

// fill offers the webhooks and event types that there are.
export function fill({ webhooks, types }) {
	form.elements.webhook_id.replaceChildren(element("option", { value: "" }, "All"), ...webhooks.map(({ id, url, description }) => (
		element("option", { value: id }, description ? `${description} (${url})` : url)
	)));
	byId("event-types").replaceChildren(...types.map(({ name }) => element("option", name)));
	show();
}

// A datetime-local field has the local time, without saying so.
function toLocal(time) {
	const at = new Date(time);
	return isNaN(at) ? "" : new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function fromLocal(value) {
	return value && new Date(value).toISOString();
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

// check says whether the form can be asked for.
function check() {
	const field = form.elements.event_id;
	const ok = field.value === "" || uuid.test(field.value.trim());
	field.ariaInvalid = ok ? null : "true";
	byId("event-id-error").textContent = ok ? "" : "An event id has 36 characters, such as 0199b2c4-….";
	return ok;
}

function apply() {
	clearTimeout(typing);
	const changes = Object.fromEntries(names.map((name) => {
		const value = form.elements[name].value.trim();
		return [name, times.includes(name) ? fromLocal(value) : value];
	}));
	const { query } = address.read();
	if (!check()) {
		changes.event_id = query.get("event_id") ?? "";
	}
	// A time in the address may be more exact than its field.
	for (const name of times) {
		if (toLocal(query.get(name)) === form.elements[name].value) {
			changes[name] = query.get(name) ?? "";
		}
	}
	address.set(changes, { replace: true });
}

let typing; // the timer that waits for a pause in it
form.addEventListener("change", apply);
form.addEventListener("input", (event) => {
	clearTimeout(typing);
	if (event.target.matches("select")) {
		apply();
	} else {
		typing = setTimeout(apply, 250);
	}
});
form.addEventListener("submit", (event) => {
	event.preventDefault();
	apply();
});
for (const button of form.querySelectorAll("[data-hours]")) {
	button.addEventListener("click", () => {
		const since = new Date(Date.now() - button.dataset.hours * hour);
		address.set({ since: since.toISOString(), until: "" }, { replace: true });
	});
}

export function clear() {
	form.reset();
	address.set(Object.fromEntries(names.map((name) => [name, ""])), { replace: true });
}
byId("clear-filters").addEventListener("click", () => {
	clear();
	form.elements.webhook_id.focus(); // the button is gone
});

const toggle = byId("show-filters"); // for narrow windows: wide ones show them always
toggle.addEventListener("click", () => {
	const open = toggle.ariaExpanded !== "true";
	toggle.ariaExpanded = open;
	form.classList.toggle("open", open);
});
