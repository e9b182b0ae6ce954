// The page of webhooks.

import { link } from "./address.js";
import { call } from "./api.js";
import { outcome } from "./detail.js";
import { busy, byId, chart, clamped, element, foreign, inPlace, outcomes, plural, pointed, say, timeElement, viewer, whileSeen } from "./parts.js";
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
let known = false; // the list has been read

// enter reads the list, and changes what has changed since: what somebody does in the
// other entries goes on.
export async function enter() {
	const mine = run = {};
	const read = await load().catch((problem) => problem);
	const lost = read instanceof Error;
	if (mine !== run || (lost && known)) {
		return;
	}
	known = !lost;
	add.hidden = lost; // the form needs the types
	if (lost) {
		showState(element("p", read.message), element("button", { onclick: enter }, "Try again"));
		return;
	}
	types = read.types;
	const at = pointed();
	inPlace(at, () => merge(read.webhooks, at));
}

function merge(webhooks, at) {
	const old = new Map([...list.children].map((made) => [made.dataset.id, made]));
	for (const webhook of webhooks) { // the newest last
		const made = old.get(webhook.id);
		if (!made) {
			list.append(item(webhook));
		} else if (made.updated !== webhook.updated_at) {
			replace(webhook);
		}
		old.delete(webhook.id);
	}
	for (const made of old.values()) {
		if (made === at) {
			made.inert = true; // the one below must not come under the mouse
		} else {
			takeAway(made);
		}
	}
	[list.hidden, state.hidden] = [false, true];
	if (list.children.length === 0) {
		showState(
			element("h3", "No webhooks yet"),
			...viewer ? [] : [
				element("p", "Add one, and your application's events are sent to its URL as they happen."),
				element("button.primary", { onclick: () => add.focus() || add.click() }, "Add webhook"),
			],
		);
	}
}

function takeAway(made) {
	const focused = made.contains(document.activeElement);
	forget(made);
	made.remove();
	if (focused) {
		add.focus();
	}
}

// recover takes away what was said of the connection, too.
export function recover() {
	list.querySelectorAll(".result.error").forEach((place) => place.replaceChildren());
	enter();
}

function showState(...children) {
	[list.hidden, state.hidden] = [true, false];
	state.replaceChildren(...children);
}

add.onclick = () => form.open(types, null, () => enter());

// item makes the entry of a webhook.
function item(webhook) {
	const described = { "aria-describedby": webhook.id };
	const enabled = element("input", { type: "checkbox", role: "switch", checked: webhook.enabled, disabled: viewer, ...described });
	const button = (what, name, onclick) => element(`button.${what}`, { onclick, ...described }, name);
	const made = element(
		webhook.enabled ? "li.card" : "li.card.off",
		element(
			"div.what",
			clamped("h3", webhook.url, { id: webhook.id }),
			clamped("p", webhook.description),
			element("p", ...typesOf(webhook)),
			element(
				"p.hint", webhook.has_secret ? "Signed" : "Not signed", " · ",
				element("a", { href: link("requests", { webhook_id: webhook.id }), ...described }, "Requests"), element("span.facts"),
			),
			element("div.warnings"),
			element("p.result", { role: "status" }),
		),
		element("div.day"),
		element("label.switch", enabled, "Enabled"),
		element(
			"div.actions",
			button("quiet", "Send test", () => test(webhook)),
			button("quiet", "Edit", () => form.open(types, webhook, (changed) => update(changed))),
			button("quiet.danger", "Delete", () => askToRemove(webhook)),
		),
	);
	made.dataset.id = webhook.id;
	made.updated = webhook.updated_at;
	enabled.onchange = () => busy(enabled, () => toggle(webhook, enabled));
	seen.observe(made);
	return made;
}

// What was asked of Caddy may be answered when others take the entry's place, or none.
const entry = (id) => list.querySelector(`[data-id="${id}"]`);

// tell says something in an entry, until the webhook changes.
function tell(id, says, wrong) {
	const place = entry(id)?.querySelector(".result");
	place?.replaceChildren(...says);
	place?.classList.toggle("error", Boolean(wrong));
	showTesting(id);
}

// update shows what has just been changed here. A list that was asked for before may not
// have it.
function update(webhook) {
	run = {};
	replace(webhook);
}

// replace shows a webhook as it is now, with the focus where it was.
function replace(webhook) {
	const old = entry(webhook.id);
	if (!old) {
		return;
	}
	const fresh = item(webhook);
	const controls = (of) => [...of.querySelectorAll("a, button, input")];
	const at = controls(old).indexOf(document.activeElement);
	const kept = [".facts", ".warnings", ".day", ...(testing.has(webhook.id) ? [".result"] : [])];
	kept.forEach((part) => fresh.querySelector(part).replaceWith(old.querySelector(part)));
	forget(old);
	old.replaceWith(fresh);
	fresh.style.contentVisibility = "visible"; // so that its height is known at once
	showTesting(webhook.id);
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
		update(changed);
		say(changed.enabled
			? "Enabled. Deliveries that waited are sent now."
			: "Disabled. Pending deliveries wait until you enable it. Events emitted in the meantime are not delivered to it.");
	} catch ({ message }) {
		enabled.checked = webhook.enabled;
		tell(webhook.id, [message], true);
	}
}

// The ids of webhooks that a test event is being sent to.
const testing = new Set();

function showTesting(id) {
	entry(id)?.querySelector(".actions button").setAttribute("aria-disabled", testing.has(id));
}

async function test({ id }) {
	if (testing.has(id)) {
		return;
	}
	testing.add(id);
	tell(id, ["Sending a test event…"]);
	const sent = await call(`webhooks/${id}/test`, { method: "POST" }).catch((problem) => problem);
	testing.delete(id);
	if (sent instanceof Error) {
		tell(id, [sent.message], true);
	} else {
		tell(id, ["Test event: ", ...outcome(sent)]);
		readFacts();
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
	const ids = [...inSight].map((made) => made.dataset.id);
	const stats = ids.length && await call(`stats/webhooks?webhook_ids=${ids}`).catch(() => null);
	stats?.data?.forEach(showFacts);
}

function forget(made) {
	seen.unobserve(made);
	inSight.delete(made);
}

whileSeen(byId("webhooks"), () => {
	enter();
	readFacts();
});

function showFacts({ webhook_id: id, pending, disabled_since: off, last_request_at: last, hours, warnings }) {
	const made = entry(id);
	made?.querySelector(".facts").replaceWith(element(
		"span.facts", ...(last ? [", last one ", timeElement(last)] : [", none yet"]), " · ",
		off
			? element("span.warning", "disabled ", timeElement(off), `, ${plural(pending, "delivery waits", "deliveries wait")}, new events are not delivered`)
			: `${pending.toLocaleString()} pending`,
	));
	made?.querySelector(".warnings").replaceChildren(...warnings.map((sentence) => element("p.warning", sentence)));
	const now = Math.floor(Date.now() / hour) * hour;
	const day = Array.from({ length: 24 }, (_, i) => {
		const since = now + (i - 23) * hour;
		return hours.find((each) => Date.parse(each.since) === since) ?? { since, successes: 0, failures: 0 };
	});
	const sum = (name) => day.reduce((total, each) => total + each[name], 0);
	made?.querySelector(".day").replaceChildren(chart(`Last 24 hours: ${outcomes({ successes: sum("successes"), failures: sum("failures") })}`, day));
}

// Deleting, once the webhook's name was typed.

const dialog = byId("remove");
const part = (selector) => dialog.querySelector(selector);
const typed = byId("remove-name");
let doomed = null;

const name = () => URL.parse(doomed.url)?.host ?? "delete"; // short enough to be typed

function askToRemove(webhook) {
	doomed = webhook;
	part(".url").replaceChildren(clamped("span", doomed.url));
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
typed.oninput = () => { part(".error").textContent = ""; };
part(".cancel").onclick = () => dialog.close();
