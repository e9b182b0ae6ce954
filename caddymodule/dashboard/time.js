// Times and durations, as the browser's locale writes them.

import { element } from "./dom.js";

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const units = [["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]];

const kept = "exact-times"; // the key under which the switch is remembered
let showsExact = remembered();

function remembered() {
	try {
		return localStorage.getItem(kept) === "true";
	} catch {
		return false; // the browser keeps nothing for this page
	}
}

export const exactTime = (time) => exact.format(new Date(time));

export function relativeTime(time) {
	const seconds = Math.round((new Date(time) - Date.now()) / 1000);
	const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) ?? units.at(-1);
	return relative.format(Math.trunc(seconds / size), unit);
}

// timeElement shows a time in the way that the switch says. The other way is its
// title.
export function timeElement(dateTime) {
	const made = element("time", { dateTime });
	showTime(made);
	return made;
}

function showTime(shown) {
	const ways = [relativeTime(shown.dateTime), exactTime(shown.dateTime)];
	const [text, title] = showsExact ? ways.reverse() : ways;
	if (shown.textContent !== text) {
		shown.textContent = text;
	}
	shown.title = title;
}

const showTimes = () => document.querySelectorAll("time").forEach(showTime);

// bindSwitch makes a checkbox the one switch for all times.
export function bindSwitch(checkbox) {
	checkbox.checked = showsExact;
	checkbox.addEventListener("change", () => {
		showsExact = checkbox.checked;
		try {
			localStorage.setItem(kept, showsExact);
		} catch {
			// It holds until the page is left.
		}
		showTimes();
	});
	setInterval(showTimes, 5000);
}

const inUnit = (unit, digits) => new Intl.NumberFormat(undefined, {
	style: "unit", unit, unitDisplay: "short", maximumFractionDigits: digits,
});
const milliseconds = inUnit("millisecond", 0);
const seconds = inUnit("second", 2);

export function duration(ms) {
	return ms < 1000 ? milliseconds.format(ms) : seconds.format(ms / 1000);
}

// countdown is the time that is left, as 1:05.
export function countdown(time) {
	const left = Math.max(0, Math.ceil((new Date(time) - Date.now()) / 1000));
	return `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
}
