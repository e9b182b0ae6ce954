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
let run; // the newest reading of the list
let failed = true; // there is no list yet

export async function enter() {
	const mine = run = {};
	const read = await load().catch((problem) => problem);
	if (mine !== run) {
		return;
	}
	failed = add.hidden = read instanceof Error; // the form needs the types
	if (failed) {
		showState(element("p", read.message), element("button", { onclick: enter }, "Try again"));
		return;
	}
	const { webhooks } = read;
	types = read.types;
	seen.disconnect();
	inSight.clear();
	list.replaceChildren(...webhooks.map(item));
	[list.hidden, state.hidden] = [false, true];
	if (webhooks.length === 0) {
		showState(
			element("h3", "No webhook yet"),
			element("p", "Add one, and the events of your application are sent to its URL as they happen."),
			element("button.primary", { onclick: () => add.focus() || add.click() }, "Add webhook"),
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

add.onclick = () => form.open(types, null, () => enter());

// item makes the entry of a webhook.
function item(webhook) {
	const described = { "aria-describedby": webhook.id };
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
			...(webhook.warnings ?? []).map((sentence) => element("p.warning", sentence)),
			element("p.result", { role: "status" }),
		),
		element("div.day"),
		element("label.switch", enabled, "Enabled"),
		element(
			"div.actions",
			button("quiet", "Send test", (event) => busy(event.currentTarget, () => test(webhook))),
			button("quiet", "Edit", () => form.open(types, webhook, (changed) => replace(changed))),
			button("quiet.danger", "Delete", () => askToRemove(webhook)),
		),
	);
	made.dataset.id = webhook.id;
	enabled.onchange = () => busy(enabled, () => toggle(webhook, enabled));
	seen.observe(made);
	return made;
}

// What was asked of Caddy may be answered when others take the entry's place, or none.
const entry = (id) => list.querySelector(`[data-id="${id}"]`);
const tell = (id, ...says) => entry(id)?.querySelector(".result").replaceChildren(...says);

// replace shows a webhook as it is now, with the focus where it was.
function replace(webhook) {
	const old = entry(webhook.id);
	if (!old) {
		return;
	}
	const fresh = item(webhook);
	const controls = (of) => [...of.querySelectorAll("a, button, input")];
	const at = controls(old).indexOf(document.activeElement);
	for (const part of [".facts", ".day", ".result"]) {
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

async function toggle(webhook, enabled) {
	try {
		const changed = await call(`webhooks/${webhook.id}`, { method: "PATCH", body: { enabled: enabled.checked } });
		replace(changed);
		say(changed.enabled ? "Enabled: what waited is sent now." : "Disabled: nothing is sent, and what is pending waits.");
	} catch (problem) {
		enabled.checked = webhook.enabled;
		tell(webhook.id, problem.message);
	}
}

async function test({ id }) {
	tell(id, "Sending a test event…");
	try {
		tell(id, "Test event: ", ...outcome(await call(`webhooks/${id}/test`, { method: "POST" })));
		readFacts();
	} catch (problem) {
		tell(id, problem.message);
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

const name = () => URL.parse(doomed.url)?.host ?? "delete"; // short enough to be typed

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
	const of = doomed;
	try {
		await call(`webhooks/${of.id}`, { method: "DELETE" });
	} catch (problem) {
		if (problem.status !== 404) { // somebody else was quicker
			if (of === doomed) {
				part(".error").textContent = problem.message;
			}
			return;
		}
	}
	if (of === doomed) { // not another one, asked for meanwhile
		dialog.close();
	}
	say("Webhook deleted.");
	add.focus(); // the button that had the focus is gone
	enter();
}

part("form").onsubmit = (event) => {
	event.preventDefault();
	busy(part("[type=submit]"), remove);
};
part(".cancel").onclick = () => dialog.close();
