// The form that adds a webhook or changes one.

import { call } from "./api.js";
import { busy, byId, copy, say } from "./dom.js";
import { TypeChoice } from "./webhooktypes.js";
import { checkURL } from "./webhookurl.js";

const dialog = byId("webhook-form");
const form = dialog.querySelector("form");
const field = form.elements;
const types = new TypeChoice(form);
const hint = byId("webhook-url-hint").textContent;

let webhook = null; // the one that is changed, null for a new one
let before = ""; // what the form said when it was opened
let saved = () => {};

// open shows the form, empty or for a webhook, and calls done when it was saved.
export function open(eventTypes, of, done) {
	[webhook, saved] = [of, done];
	form.reset();
	field.url.value = of?.url ?? "";
	field.description.value = of?.description ?? "";
	field.enabled.checked = of?.enabled ?? true;
	types.fill(eventTypes, of?.event_types ?? ["*"]);
	byId("webhook-form-title").textContent = of ? "Edit webhook" : "Add webhook";
	form.querySelector("[type=submit]").textContent = of ? "Save webhook" : "Add webhook";
	byId("webhook-secret-hint").textContent = of?.has_secret
		? "A secret is set. Enter a new one to replace it."
		: "Signs each request, so that your endpoint can tell that it came from here. Without one, requests are not signed.";
	form.querySelector(".remove").hidden = !of?.has_secret;
	clearErrors();
	hintAtURL();
	warn();
	before = JSON.stringify(input());
	dialog.showModal();
	field.url.focus();
}

// input is what the form says, as the API takes it.
function input() {
	const secret = field.remove.checked ? null : field.secret.value;
	return {
		url: field.url.value.trim(), description: field.description.value, enabled: field.enabled.checked,
		event_types: types.value(), ...(secret === "" ? {} : { secret }),
	};
}

// changes leaves out what the webhook has already: somebody else may be changing
// that.
function changes(all) {
	const kept = webhook === null ? [] : Object.keys(all).filter((name) => JSON.stringify(all[name]) === JSON.stringify(webhook[name]));
	return Object.fromEntries(Object.entries(all).filter(([name]) => !kept.includes(name)));
}

const errorOf = (name) => form.querySelector(`[data-for="${name}"]`);

function showError(name, sentence) {
	errorOf(name).textContent = sentence;
	if (name in field && field[name].setAttribute) {
		field[name].ariaInvalid = sentence === "" ? null : "true";
	}
}

function clearErrors() {
	form.querySelectorAll("[data-for]").forEach((place) => showError(place.dataset.for, ""));
}

function hintAtURL() {
	const sentence = field.url.value === "" ? undefined : checkURL(field.url.value.trim()).hint;
	byId("webhook-url-hint").textContent = sentence ?? hint;
	byId("webhook-url-hint").classList.toggle("warning", sentence !== undefined);
}

function warn() {
	byId("webhook-secret-warning").textContent = field.secret.value === ""
		? "" : "It cannot be seen again once it is saved: copy it now. Your endpoint needs it to check signatures.";
	form.querySelector(".copy").hidden = field.secret.value === "";
	field.secret.disabled = form.querySelector(".generate").disabled = field.remove.checked;
}

// check finds what is wrong before Caddy is asked.
function check(all) {
	clearErrors();
	const { error } = checkURL(all.url);
	if (error) {
		showError("url", error);
		field.url.focus();
	}
	if (all.event_types.length === 0) {
		showError("event_types", "Select one type at least, or send all.");
	}
	return !error && all.event_types.length > 0;
}

async function save() {
	const all = input();
	if (!check(all)) {
		return;
	}
	try {
		const done = webhook === null
			? await call("webhooks", { method: "POST", body: all })
			: await call(`webhooks/${webhook.id}`, { method: "PATCH", body: changes(all) });
		dialog.close();
		say(webhook === null ? "Webhook added." : "Webhook saved.");
		saved(done);
	} catch (problem) {
		showProblem(problem);
	}
}

function showProblem(problem) {
	for (const { field: path, detail } of problem.errors ?? []) {
		const name = path.split(".")[0]; // event_types.0
		showError(errorOf(name) ? name : "", detail);
	}
	if (!problem.errors?.length) {
		showError("", problem.message);
	}
	form.querySelector("[aria-invalid=true]")?.focus();
}

function generate() {
	const bytes = crypto.getRandomValues(new Uint8Array(32));
	field.secret.value = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
	warn();
}

form.addEventListener("submit", (event) => {
	event.preventDefault();
	busy(form.querySelector("[type=submit]"), save);
});
field.url.addEventListener("input", () => {
	hintAtURL();
	const begun = "https://".startsWith(field.url.value); // it may become a URL yet
	showError("url", begun ? "" : checkURL(field.url.value.trim()).error ?? "");
});
field.url.addEventListener("change", () => {
	showError("url", field.url.value === "" ? "" : checkURL(field.url.value.trim()).error ?? "");
});
field.secret.addEventListener("input", warn);
field.remove.addEventListener("change", warn);
form.querySelector(".generate").addEventListener("click", generate);
form.querySelector(".copy").addEventListener("click", () => copy(field.secret.value));
form.querySelector(".cancel").addEventListener("click", () => dialog.close());
// Escape does not throw away what was typed.
dialog.addEventListener("cancel", (event) => {
	if (event.target === dialog && JSON.stringify(input()) !== before) {
		event.preventDefault();
		showError("", "There are changes. Press Cancel to drop them.");
	}
});
