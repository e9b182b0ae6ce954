// The page of webhooks.

import { link } from "./address.js";
import { call } from "./api.js";
import { outcome } from "./detail.js";
import { busy, byId, chart, element, foreign, outcomes, plural, say, timeElement, visible, whileSeen } from "./parts.js";
import * as form from "./webhookform.js";

const list = byId("webhook-list");
const state = document.querySelector("#webhooks .state");
const add = document.querySelector(".add");
const hour = 3_600_000; // milliseconds

// load reads webhooks and event types, also for the other page.
export async function load() {
	const [webhooks, types] = await Promise.all([call("webhooks"), call("event-types")]);
	return { webhooks: webhooks.data, types: types.data };
}

let types = [];
let failed = true; // there is no list yet

export async function enter() {
	let webhooks;
	try {
		({ webhooks, types } = await load());
		failed = false;
	} catch (problem) {
		failed = true;
		showState(element("p", problem.message), element("button", { onclick: enter }, "Try again"));
		return;
	}
	seen.disconnect();
	inSight.clear();
	list.replaceChildren(...webhooks.map(item));
	[list.hidden, state.hidden] = [false, true];
	if (webhooks.length === 0) {
		showState(
			element("h3", "No webhook yet"),
			element("p", "Add one, and the events of your application are sent to its URL as they happen."),
			element("button.primary", { onclick: add.onclick }, "Add webhook"),
		);
	}
}

// recover leaves a list that is there as it is, with what somebody is doing in it.
export function recover() {
	if (failed) {
		enter();
	}
}

function showState(...children) {
	[list.hidden, state.hidden] = [true, false];
	state.replaceChildren(...children);
}

add.onclick = () => form.open(types, null, enter);

// item makes the entry of a webhook.
function item(webhook) {
	const described = { "aria-describedby": webhook.id };
	const result = element("p.result", { role: "status" });
	const enabled = element("input", { type: "checkbox", role: "switch", checked: webhook.enabled, ...described });
	const button = (what, name, onclick) => element(`button.${what}`, { onclick, ...described }, name);
	const made = element(
		webhook.enabled ? "li.card" : "li.card.off",
		element(
			"div.what",
			foreign("h3", webhook.url, { id: webhook.id }),
			foreign("p", webhook.description),
			element("p", ...typesOf(webhook)),
			element(
				"p.hint", webhook.has_secret ? "Signed" : "Not signed", " · ",
				element("a", { href: link("requests", { webhook_id: webhook.id }), ...described }, "Requests"), element("span.facts"),
			),
			result,
		),
		element("div.day"),
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

// replace shows a webhook as it is now, with the focus where it was.
function replace(old, webhook) {
	const fresh = item(webhook);
	const controls = (of) => [...of.querySelectorAll("a, button, input")];
	const at = controls(old).indexOf(document.activeElement);
	for (const part of [".facts", ".day"]) {
		fresh.querySelector(part).replaceWith(old.querySelector(part).cloneNode(true));
	}
	seen.unobserve(old);
	inSight.delete(old);
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
		readFacts();
	} catch (problem) {
		result.textContent = problem.message;
	}
}

// How webhooks fared, for those in sight: there may be thousands.

const inSight = new Set();
let soon;

const seen = new IntersectionObserver((entries) => {
	for (const { target, isIntersecting } of entries) {
		inSight[isIntersecting ? "add" : "delete"](target);
	}
	clearTimeout(soon);
	soon = setTimeout(readFacts, 100);
});

async function readFacts() {
	const shown = new Map([...inSight].map((made) => [made.dataset.id, made]));
	const stats = shown.size && await call(`stats/webhooks?webhook_ids=${[...shown.keys()]}`).catch(() => null);
	stats?.data?.forEach((each) => showFacts(shown.get(each.webhook_id), each));
}
whileSeen(list, readFacts);

function showFacts(made, { pending, disabled_since: off, last_request_at: last, hours }) {
	made.querySelector(".facts").replaceWith(element(
		"span.facts", ...(last ? [", last ", timeElement(last)] : [", none yet"]), " · ",
		off
			? element("span.warning", "disabled ", timeElement(off), `, ${plural(pending, "delivery waits", "deliveries wait")}`)
			: `${pending.toLocaleString()} pending`,
	));
	const now = Math.floor(Date.now() / hour) * hour;
	const day = Array.from({ length: 24 }, (_, i) => {
		const since = now + (i - 23) * hour;
		return hours.find((each) => Date.parse(each.since) === since) ?? { since, successes: 0, failures: 0 };
	});
	const sum = (name) => day.reduce((total, each) => total + each[name], 0);
	made.querySelector(".day").replaceChildren(chart(`Last 24 hours: ${outcomes({ successes: sum("successes"), failures: sum("failures") })}`, day));
}

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
	enter();
}

part("form").onsubmit = (event) => {
	event.preventDefault();
	busy(part("[type=submit]"), remove);
};
part(".cancel").onclick = () => dialog.close();
