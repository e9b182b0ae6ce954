// Deletes a webhook, once its name was typed.

import { call } from "./api.js";
import { busy, byId, say, visible } from "./dom.js";

const dialog = byId("remove");
const form = dialog.querySelector("form");
const typed = byId("remove-name");
const error = form.querySelector(".error");

let webhook = null;
let removed = () => {};

// open asks whether a webhook is to be deleted, and calls done when it was.
export function open(of, done) {
	[webhook, removed] = [of, done];
	form.querySelector(".url").replaceChildren(...visible(of.url));
	form.querySelector("b").textContent = nameOf(of);
	typed.value = "";
	error.textContent = "";
	dialog.showModal();
	typed.focus();
}

// nameOf is short enough to be typed.
const nameOf = (of) => new URL(of.url).host;

async function remove() {
	if (typed.value.trim() !== nameOf(webhook)) {
		error.textContent = `Type ${nameOf(webhook)} to confirm.`;
		typed.focus();
		return;
	}
	try {
		await call(`webhooks/${webhook.id}`, { method: "DELETE" });
	} catch (problem) {
		if (problem.status !== 404) { // somebody else was quicker
			error.textContent = problem.message;
			return;
		}
	}
	dialog.close();
	say("Webhook deleted.");
	removed();
}

form.addEventListener("submit", (event) => {
	event.preventDefault();
	busy(form.querySelector("[type=submit]"), remove);
});
form.querySelector(".cancel").addEventListener("click", () => dialog.close());
