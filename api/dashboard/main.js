// Puts the page together: its tabs, and what it says of the connection.

import { onConnection, retry } from "./api.js";
import * as address from "./address.js";
import { byId, inPlace, pointed } from "./parts.js";
import * as requests from "./requests.js";
import * as webhooks from "./webhooks.js";

const pages = { webhooks, requests };
const tabs = [...document.querySelectorAll("[role=tab]")];
const pageOf = (tab) => tab.getAttribute("aria-controls");
const [left, scrolled] = [{}, {}]; // the addresses to come back to, and where there
let shown = null;

function show() {
	const { tab: name } = address.read();
	left[name] = `./${location.hash || "#webhooks"}`;
	if (name !== shown) {
		if (shown !== null) {
			scrolled[shown] = window.scrollY;
			pages[shown].leave?.();
		}
		for (const tab of tabs) {
			const selected = pageOf(tab) === name;
			tab.ariaSelected = selected;
			tab.tabIndex = selected ? 0 : -1;
			byId(pageOf(tab)).hidden = !selected;
			if (selected) {
				document.title = `${tab.textContent} – Caddy Webhooks`;
			}
		}
		shown = name;
		pages[name].enter();
		window.scrollTo(0, scrolled[name] ?? 0);
	}
	pages[name].show?.();
}

for (const [i, tab] of tabs.entries()) {
	tab.onclick = () => address.go(left[pageOf(tab)] ?? address.link(pageOf(tab)));
	tab.onkeydown = (event) => {
		const next = {
			ArrowRight: tabs[(i + 1) % tabs.length], ArrowLeft: tabs.at(i - 1), Home: tabs[0], End: tabs.at(-1),
		}[event.key];
		if (next) {
			event.preventDefault();
			next.focus();
			next.click();
		}
	};
}

const connection = byId("connection");
const [sentence, again] = connection.children;
again.onclick = retry;
onConnection((state, before) => {
	inPlace(pointed(), () => {
		connection.hidden = state === null;
		sentence.textContent = state?.detail ?? "";
		again.hidden = !state?.button;
	});
	if (state === null && before !== null) {
		pages[shown].recover();
	}
});

// Browsers forget a password when another one is refused.
byId("sign-out").onclick = () => {
	const forget = new XMLHttpRequest(); // fetch takes none
	forget.open("GET", "api/event-types", true, "nobody", "");
	forget.onloadend = () => location.reload();
	forget.send();
};

// Browsers ask for nothing from a page whose address has a password.
if (new URL(document.URL).password) {
	location.replace(location.origin + location.pathname + location.hash);
}
address.onChange(show);
show();
