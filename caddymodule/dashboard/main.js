// Puts the page together: its tabs, and what it says of the connection.

import { onConnection, retry } from "./api.js";
import * as address from "./address.js";
import { byId } from "./dom.js";
import { bindSwitch } from "./time.js";
import * as requests from "./requests.js";
import * as webhooks from "./webhooks.js";

const pages = { webhooks, requests };
const tabs = [...document.querySelectorAll("[role=tab]")];
const scrolled = { webhooks: 0, requests: 0 };
const left = { webhooks: "./#webhooks", requests: "./#requests" }; // the addresses to come back to
let shown = null;

function show() {
	const { tab: name } = address.read();
	left[name] = `./${location.hash || "#webhooks"}`;
	if (name !== shown) {
		if (shown !== null) {
			scrolled[shown] = window.scrollY;
		}
		for (const tab of tabs) {
			const selected = tab.getAttribute("aria-controls") === name;
			tab.ariaSelected = selected;
			tab.tabIndex = selected ? 0 : -1;
			byId(tab.getAttribute("aria-controls")).hidden = !selected;
		}
		document.title = `${name === "webhooks" ? "Webhooks" : "Requests"} – Caddy Webhooks`;
		shown = name;
		pages[name].enter();
		window.scrollTo(0, scrolled[name]);
	}
	pages[name].show();
}

for (const [i, tab] of tabs.entries()) {
	tab.addEventListener("click", () => address.go(left[tab.getAttribute("aria-controls")]));
	tab.addEventListener("keydown", (event) => {
		const next = {
			ArrowRight: tabs[(i + 1) % tabs.length], ArrowLeft: tabs.at(i - 1), Home: tabs[0], End: tabs.at(-1),
		}[event.key];
		if (next) {
			event.preventDefault();
			next.focus();
			next.click();
		}
	});
}

const connection = byId("connection");
connection.querySelector("button").addEventListener("click", retry);
onConnection((state, before) => {
	connection.hidden = state === null;
	if (state !== null) {
		connection.querySelector("span").textContent = state.detail;
		connection.querySelector("button").hidden = !state.button;
	} else if (before !== null) {
		pages[shown].recover();
	}
});

bindSwitch(byId("exact"));
address.onChange(show);
show();
