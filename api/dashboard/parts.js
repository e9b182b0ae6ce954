// What the other modules build the page of: elements, texts that others wrote,
// times, requests. Values are set as text, never as markup.

// element makes an element, "p.hint" one with a class. Properties may come first;
// those that the element does not have are its attributes. What is false or null
// among the children is left out.
export function element(what, ...children) {
	const [name, ...classes] = what.split(".");
	const made = document.createElement(name);
	if (classes.length > 0) {
		made.className = classes.join(" ");
	}
	const properties = children[0]?.constructor === Object ? children.shift() : {};
	for (const [key, value] of Object.entries(properties)) {
		if (key in made) {
			made[key] = value;
		} else {
			made.setAttribute(key, value);
		}
	}
	made.append(...children.filter(Boolean));
	return made;
}

export const byId = (id) => document.getElementById(id);

// viewer says whether the user may change nothing. CSS hides most of what would.
export const viewer = document.body.matches(".viewer");

// Characters that do not show, or change the order in which others are shown: they
// could make a text look like another one. Line breaks and tabs are not among them,
// nor are the joiners that scripts and emoji need.
const unseen = /((?![\t\n\u200c\u200d]|\r\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}])/u;

// visible makes nodes of a text that somebody else wrote, with the numbers of these.
export function visible(text) {
	return text.split(unseen).map((part, i) => (i % 2 === 0 ? part : element("span.unseen", `U+${hex(part.codePointAt(0), 4)}`.toUpperCase())));
}

const hex = (number, digits) => number.toString(16).padStart(digits, "0");

// foreign is an element for such a text, whose direction ends with it.
export function foreign(what, text, properties) {
	return element(what, { dir: "auto", ...properties }, ...visible(text));
}

// scrolled is text that can be scrolled, by the keyboard too.
export const scrolled = (ariaLabel, ...children) => element("pre", { tabIndex: 0, role: "region", ariaLabel }, ...children);

// inPlace does something that lays the page out anew, and leaves an element where it is in
// the window.
export function inPlace(element, work) {
	const before = element?.getBoundingClientRect().top;
	work();
	if (element?.isConnected) {
		window.scrollBy(0, element.getBoundingClientRect().top - before);
	}
}

// pointed is the row, or the webhook's entry, that the mouse is on, if it is on one.
export const pointed = () => document.querySelector(":is(#requests tbody tr, #webhook-list > li):hover");

// clamped is such a text of two lines at most; all of it is its title.
export const clamped = (what, text, properties) => foreign(`${what}.clamp`, text, { title: text, ...properties });

const top = () => document.querySelector("dialog:modal") ?? document.body; // all else is inert

// say shows a sentence for some seconds, or until the user does something else.
const said = byId("said");
let unsaid;
export function say(sentence) {
	said.textContent = sentence;
	top().append(said);
	clearTimeout(unsaid);
	unsaid = setTimeout(unsay, 8000);
}
function unsay() {
	said.textContent = "";
}
["click", "popstate"].forEach((sign) => window.addEventListener(sign, unsay, true));

export const copyButton = (ariaLabel, text) => element("button.quiet", { ariaLabel, onclick: () => copy(text) }, "Copy");

export async function copy(text) {
	try {
		await navigator.clipboard.writeText(text);
	} catch {
		// Without TLS browsers offer the old way alone.
		const area = element("textarea.offscreen", { value: text });
		top().append(area);
		area.select();
		const done = document.execCommand("copy");
		area.remove();
		if (!done) {
			say("Your browser does not let this page copy. Select the text and copy it yourself.");
			return;
		}
	}
	say("Copied.");
}

// busy keeps a button from being pressed again until what it does is done. A disabled
// one would lose the focus.
export async function busy(button, work) {
	if (button.ariaDisabled === "true") {
		return;
	}
	button.ariaDisabled = "true";
	try {
		await work();
	} finally {
		button.ariaDisabled = null;
	}
}

export function plural(n, one, many = `${one}s`) {
	return `${n.toLocaleString()} ${n === 1 ? one : many}`;
}

// Times and durations, as the browser's locale writes them.

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const [now, relative] = ["auto", "always"].map((numeric) => new Intl.RelativeTimeFormat(undefined, { numeric }));
const units = [["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]];

let kept = {}; // holds until the page is left, if the browser keeps nothing for it
try {
	kept = localStorage;
} catch {}

export const exactTime = (time) => exact.format(new Date(time));

function relativeTime(time) {
	const seconds = Math.round((new Date(time) - Date.now()) / 1000);
	const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) ?? units.at(-1);
	return (seconds === 0 ? now : relative).format(Math.trunc(seconds / size), unit);
}

// timeElement shows a time as the switch says; its title is the other way. One of the
// class now stands beside the exact time.
export function timeElement(dateTime, what = "time") {
	const made = element(what, { dateTime });
	showTime(made);
	return made;
}

function showTime(shown) {
	const ways = [relativeTime(shown.dateTime), exactTime(shown.dateTime)];
	const [text, title] = kept.exactTimes && !shown.matches(".now") ? ways.reverse() : ways;
	if (shown.textContent !== text) {
		shown.textContent = text;
	}
	shown.title = title;
}

const showTimes = () => document.querySelectorAll("time").forEach(showTime);

// The one switch for all times.
const exactly = byId("exact");
exactly.checked = kept.exactTimes;
exactly.parentNode.title = `All times are in ${exact.resolvedOptions().timeZone}`;
exactly.onchange = () => {
	kept.exactTimes = exactly.checked ? "yes" : "";
	showTimes();
};
setInterval(showTimes, 5000);

const inUnit = (unit, maximumFractionDigits) => new Intl.NumberFormat(undefined, { style: "unit", unit, maximumFractionDigits });
const milliseconds = inUnit("millisecond", 0);
const seconds = inUnit("second", 2);

export const duration = (ms) => (ms < 1000 ? milliseconds.format(ms) : seconds.format(ms / 1000));

// countdown is the time that is left, as 1:05.
export function countdown(time) {
	const left = Math.max(0, Math.ceil((new Date(time) - Date.now()) / 1000));
	return `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
}

// Charts.

export const outcomes = ({ successes, failures }) => `${plural(successes, "success", "successes")}, ${plural(failures, "failure")}`;

const counts = { bad: (slice) => slice.failures, good: (slice) => slice.successes };

// chart draws a bar for each slice of time. What series make of it, by their classes,
// stands on each other; tell says it in words.
export function chart(label, slices, series = counts, tell = outcomes) {
	const bars = slices.map((slice) => Object.values(series).map((of) => of(slice) ?? 0));
	const most = Math.max(...bars.map((bar) => bar.reduce((a, b) => a + b)));
	return svg(
		"svg", { viewBox: `0 0 ${slices.length} 1`, preserveAspectRatio: "none", role: "img", "aria-label": label },
		...slices.map((slice, x) => {
			let y = 1;
			return svg(
				"g", {}, svg("title", {}, `${exactTime(slice.since)}: ${tell(slice)}`), svg("rect", { x, width: 1, height: 1 }),
				...Object.keys(series).map((name, i) => {
					const height = bars[x][i] && Math.max(bars[x][i] / most, 0.05); // few among many are seen
					y -= height;
					return svg("rect", { class: name, x: x + 0.1, y, width: 0.8, height });
				}),
			);
		}),
	);
}

function svg(name, attributes, ...children) {
	const made = document.createElementNS("http://www.w3.org/2000/svg", name);
	Object.entries(attributes).forEach((each) => made.setAttribute(...each));
	made.append(...children);
	return made;
}

// whileSeen works every half a minute while somebody sees a place, and when somebody comes
// back to it.
export function whileSeen(place, work) {
	let last = 0;
	const look = () => {
		if (!document.hidden && place.checkVisibility() && performance.now() > last + 2000) {
			last = performance.now();
			work();
		}
	};
	setInterval(look, 30_000);
	document.addEventListener("visibilitychange", look);
}

// Requests, in the list and beside it.

export const badge = (status) => element(`span.badge.${status}`, status);

export const codeOf = (request) => String(request.status_code ?? "--");

export function attemptOf(request) {
	return request.attempt === null ? "--" : `${request.attempt}/${request.max_attempts}`;
}

const columns = {
	select: "Select", status: "Status", code: "Code", url: "URL", type: "Event type", attempt: "Attempt",
	trigger: "Trigger", duration: "Duration", time: "Time",
};

// The roles say what the elements are also where CSS makes no table of them.
const tableRow = (role, cells) => element("tr", { role: "row" }, ...Object.entries(cells).map(
	([column, content]) => element(`${role === "cell" ? "td" : "th"}.${column}`, { role }, content),
));

export const head = () => element("thead", { role: "rowgroup" }, tableRow("columnheader", columns));

// row makes the row of a request, with a link that leads nowhere yet.
export function row(request, selected) {
	const made = tableRow("cell", {
		select: request.status === "failed" && !viewer &&
			element("input", { type: "checkbox", tabIndex: -1, checked: selected, ariaLabel: `Select ${request.url}` }),
		status: badge(request.status),
		code: codeOf(request),
		url: clamped("a.open", request.url, { tabIndex: -1 }),
		type: clamped("span", request.event_type),
		attempt: attemptOf(request),
		trigger: request.trigger,
		duration: duration(request.duration_ms),
		time: timeElement(request.started_at),
	});
	return Object.assign(made, { request });
}
