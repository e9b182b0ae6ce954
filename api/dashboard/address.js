// The address says what the page shows: #requests?status=failed&request=<id>. The
// filters of the log are in it as the API takes them, and have a form.

import { byId, element } from "./parts.js";

// read is the tab, and what it is to show.
export function read() {
	const [tab, query] = location.hash.slice(1).split("?");
	return { tab: tab === "requests" ? tab : "webhooks", query: new URLSearchParams(query) };
}

export function link(tab, query) {
	const parameters = new URLSearchParams(query);
	return `./#${tab}${parameters.size > 0 ? "?" : ""}${parameters}`;
}

// changed is a link to the present address with other parameters; "" takes one away.
export function changed(parameters) {
	const { tab, query } = read();
	for (const [name, value] of Object.entries(parameters)) {
		if (value) {
			query.set(name, value);
		} else {
			query.delete(name);
		}
	}
	return link(tab, query);
}

// toRequest is a link to a request: in the list that is shown, if one is.
export const toRequest = (request) => (read().tab === "requests" ? changed({ request }) : link("requests", { request }));

// go shows what a link says. Back leads to where it was before, unless the link's
// address replaces the present one.
export function go(to, replace = false) {
	if (new URL(to, location).href !== location.href) {
		history[replace ? "replaceState" : "pushState"](null, "", to);
		window.onpopstate();
	}
}

// onChange has a listener told: popstate also comes with Back, Forward, a link, and an
// address that is typed.
export function onChange(listener) {
	window.onpopstate = listener;
}

// The form of the filters.

const form = byId("filters");
const field = form.elements;
const names = ["webhook_id", "status", "event_type", "event_id", "since", "until"];
const times = ["since", "until"];
const hour = 3_600_000; // milliseconds

// filters gives those in the address as a query of the API.
export function filters() {
	const { query } = read();
	return new URLSearchParams(names.filter((name) => query.get(name)).map((name) => [name, query.get(name)]));
}

// showFilters has the form say what the address says, but for what is being typed.
export function showFilters() {
	const present = filters();
	for (const name of names) {
		const value = present.get(name) ?? "";
		if (field[name] !== document.activeElement || field[name].matches("select")) {
			field[name].value = times.includes(name) ? toLocal(value) : value;
		}
	}
	const webhook = present.get("webhook_id") ?? "";
	if (field.webhook_id.value !== webhook) {
		field.webhook_id.append(element("option", { selected: true }, webhook)); // until its URL is known, or if it is gone
	}
	byId("clear-filters").hidden = present.size === 0;
	byId("show-filters").textContent = present.size > 0 ? `Filters (${present.size.toLocaleString()})` : "Filters";
	check();
}

// fillFilters offers the webhooks and event types that there are.
let offered;
export function fillFilters({ webhooks, types }) {
	const choices = webhooks.map(({ id, url, description }) => [id, description ? `${description} (${url})` : url]);
	const offer = JSON.stringify([choices, types]);
	if (offer === offered) {
		return; // somebody may be choosing
	}
	offered = offer;
	field.webhook_id.replaceChildren(element("option", { value: "" }, "All"), ...choices.map(([value, name]) => (
		element("option", { value }, name.length > 100 ? `${name.slice(0, 99)}…` : name)
	)));
	byId("event-types").replaceChildren(...types.map(({ name }) => element("option", name)));
	showFilters();
}

// A datetime-local field has the local time, without saying so.
function toLocal(time) {
	const at = new Date(time);
	return isNaN(at) ? "" : new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

const fromLocal = (value) => value && new Date(value).toISOString();

function check() {
	const ok = /^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$/i.test(field.event_id.value.trim());
	field.event_id.ariaInvalid = ok ? null : "true";
	byId("event-id-error").textContent = ok ? "" : "An event ID has 36 characters, such as 0199b2c4-….";
	return ok;
}

function apply() {
	clearTimeout(typing);
	const { query } = read();
	const changes = Object.fromEntries(names.map((name) => {
		const value = field[name].value.trim();
		// A time in the address may be more exact than its field.
		return [name, !times.includes(name) ? value : toLocal(query.get(name)) === value ? query.get(name) : fromLocal(value)];
	}));
	if (!check()) {
		changes.event_id = query.get("event_id");
	}
	set(changes);
}

const set = (changes) => go(changed(changes), true);

let typing; // the timer that waits for a pause in it
form.onchange = apply;
form.oninput = (event) => {
	clearTimeout(typing);
	if (event.target.matches("select")) {
		apply();
	} else {
		typing = setTimeout(apply, 250);
	}
};
form.onsubmit = (event) => {
	event.preventDefault();
	apply();
};
for (const button of form.querySelectorAll("[data-hours]")) {
	button.onclick = () => set({ since: new Date(Date.now() - button.dataset.hours * hour).toISOString(), until: "" });
}

byId("clear-filters").onclick = () => {
	form.reset();
	set(Object.fromEntries(names.map((name) => [name, ""])));
	field.webhook_id.focus(); // the button is gone
};

const toggle = byId("show-filters"); // for narrow windows: wide ones show them always
toggle.onclick = () => {
	toggle.ariaExpanded = form.classList.toggle("open");
};
