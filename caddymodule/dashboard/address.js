// The address says what the page shows, so that a link shows the same:
// #requests?status=failed&request=<id>.

const listeners = [];

// read is the tab, and what it is to show.
export function read() {
	const [tab, query] = location.hash.slice(1).split("?");
	return { tab: tab === "requests" ? tab : "webhooks", query: new URLSearchParams(query) };
}

// link makes an address of this page, as links have it.
export function link(tab, query = {}) {
	const parameters = new URLSearchParams(query);
	return `./#${tab}${parameters.size > 0 ? `?${parameters}` : ""}`;
}

// go shows what an address of this page says. Back leads to where it was before,
// unless the new address takes the place of the old one.
export function go(to, { replace = false } = {}) {
	if (new URL(to, location).href !== location.href) {
		history[replace ? "replaceState" : "pushState"](null, "", to);
		listeners.forEach((listener) => listener());
	}
}

// set changes parameters of the present address; "" takes one away.
export function set(changes, options) {
	const { tab, query } = read();
	for (const [name, value] of Object.entries(changes)) {
		query.delete(name);
		if (value) {
			query.set(name, value);
		}
	}
	go(link(tab, query), options);
}

export function onChange(listener) {
	listeners.push(listener);
}

// popstate comes with Back, Forward, a link, and an address that is typed.
window.addEventListener("popstate", () => listeners.forEach((listener) => listener()));
