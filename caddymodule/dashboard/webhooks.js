// The page of webhooks.

import { call } from "./api.js";
import { link } from "./address.js";
import { busy, byId, element, foreign, say, visible } from "./dom.js";
import { outcome } from "./row.js";
import { timeElement } from "./time.js";
import * as form from "./webhookform.js";

const page = byId("webhooks");
const list = byId("webhook-list");
const state = page.querySelector(".state");
const add = page.querySelector(".bar .add");

// load reads webhooks and what they may be sent. Other pages need them too.
export async function load() {
	const [webhooks, types] = await Promise.all([call("webhooks"), call("event-types")]);
	return { webhooks: webhooks.data, types: types.data };
}

let types = [];
let failed = true; // there is no list yet

export function enter() {
	refresh();
}

export function show() {}

// recover reads what could not be read. A list that is there stays as it is, with
// what somebody is doing in it.
export function recover() {
	if (failed) {
		refresh();
	}
}

async function refresh() {
	let webhooks;
	try {
		({ webhooks, types } = await load());
		failed = false;
	} catch (problem) {
		failed = true;
		showState(element("p", problem.message), element("button", { onclick: refresh }, "Try again"));
		return;
	}
	seen.disconnect();
	list.replaceChildren(...webhooks.map(item));
	[list.hidden, state.hidden] = [false, true];
	if (webhooks.length === 0) {
		showState(
			element("h3", "No webhook yet"),
			element("p", "Add one, and the events of your application are sent to its URL as they happen."),
			element("button.primary", { onclick: openForm }, "Add webhook"),
		);
	}
}

function showState(...children) {
	list.hidden = true;
	state.hidden = false;
	state.replaceChildren(...children);
}

function openForm() {
	form.open(types, null, refresh);
}

// item makes the entry of a webhook.
function item(webhook) {
	const described = { "aria-describedby": webhook.id };
	const result = element("p.result", { role: "status" });
	const enabled = element("input", { type: "checkbox", role: "switch", checked: webhook.enabled, ...described });
	const button = (what, name, onclick) => element(`button.${what}`, { onclick, ...described }, name);
	const made = element(
		webhook.enabled ? "li" : "li.off",
		element(
			"div.what",
			foreign("h3", webhook.url, { id: webhook.id }),
			foreign("p", webhook.description),
			element("p", ...typesOf(webhook)),
			element(
				"p.hint", webhook.has_secret ? "Signed" : "Not signed", " · ",
				element("a", { href: link("requests", { webhook_id: webhook.id }), ...described }, "Requests"), " ", element("span.last"),
			),
			result,
		),
		element("label.switch", enabled, "Enabled"),
		element(
			"div.actions",
			button("quiet", "Send test", (event) => busy(event.currentTarget, () => test(webhook, result))),
			button("quiet", "Edit", () => form.open(types, webhook, (changed) => replace(made, changed))),
			button("quiet.danger", "Delete", () => askToRemove(webhook)),
		),
	);
	made.dataset.id = webhook.id;
	enabled.onchange = () => busy(enabled, () => toggle(webhook, enabled, made, result));
	seen.observe(made);
	return made;
}

// replace shows a webhook as it is now. The focus stays on what it was on.
function replace(old, webhook) {
	const fresh = item(webhook);
	const controls = (of) => [...of.querySelectorAll("a, button, input")];
	const at = controls(old).indexOf(document.activeElement);
	seen.unobserve(old);
	old.replaceWith(fresh);
	controls(fresh)[at]?.focus();
}

function typesOf(webhook) {
	if (webhook.event_types.includes("*")) {
		return [element("span.type", "All event types")];
	}
	return webhook.event_types.map((name) => foreign("span.type", name));
}

async function toggle(webhook, enabled, made, result) {
	try {
		replace(made, await call(`webhooks/${webhook.id}`, { method: "PATCH", body: { enabled: enabled.checked } }));
		say(enabled.checked ? "Enabled: what waited is sent now." : "Disabled: nothing is sent, and what is pending waits.");
	} catch (problem) {
		enabled.checked = !enabled.checked;
		result.textContent = problem.message;
	}
}

async function test(webhook, result) {
	result.textContent = "Sending a test event…";
	try {
		result.replaceChildren("Test event: ", ...outcome(await call(`webhooks/${webhook.id}/test`, { method: "POST" })));
		showLast(result.closest("li"));
	} catch (problem) {
		result.textContent = problem.message;
	}
}

// The time of a webhook's last request is asked for when the webhook is in sight:
// there may be thousands.
const seen = new IntersectionObserver((entries) => {
	for (const { target, isIntersecting } of entries) {
		if (isIntersecting) {
			seen.unobserve(target);
			showLast(target);
		}
	}
});

async function showLast(made) {
	const place = made.querySelector(".last");
	try {
		const { data } = await call(`requests?limit=1&webhook_id=${made.dataset.id}`);
		place.replaceChildren(...(data.length > 0 ? ["last ", timeElement(data[0].started_at)] : ["none yet"]));
	} catch {
		place.textContent = ""; // the page says what is wrong with the connection
	}
}

add.addEventListener("click", openForm);

// Deleting, once the webhook's name was typed.

const dialog = byId("remove");
const part = (selector) => dialog.querySelector(selector);
const typed = byId("remove-name");
let doomed = null;

const name = () => new URL(doomed.url).host; // short enough to be typed

function askToRemove(webhook) {
	doomed = webhook;
	part(".url").replaceChildren(...visible(doomed.url));
	part("label span").textContent = name();
	part(".error").textContent = typed.value = "";
	dialog.showModal();
	typed.focus();
}

async function remove() {
	if (typed.value.trim() !== name()) {
		part(".error").textContent = `Type ${name()} to confirm.`;
		typed.focus();
		return;
	}
	try {
		await call(`webhooks/${doomed.id}`, { method: "DELETE" });
	} catch (problem) {
		if (problem.status !== 404) { // somebody else was quicker
			part(".error").textContent = problem.message;
			return;
		}
	}
	dialog.close();
	say("Webhook deleted.");
	add.focus(); // the button that had the focus is gone
	refresh();
}

part("form").onsubmit = (event) => {
	event.preventDefault();
	busy(part("[type=submit]"), remove);
};
part(".cancel").onclick = () => dialog.close();
