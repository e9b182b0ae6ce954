// What the other modules build the page with. Values are set as text, never as
// markup.

// element makes an element. Properties that are no properties of the element are
// its attributes; children are nodes and texts, null for none.
export function element(name, properties = {}, ...children) {
	const made = document.createElement(name);
	for (const [key, value] of Object.entries(properties)) {
		if (key in made) {
			made[key] = value;
		} else {
			made.setAttribute(key, value);
		}
	}
	made.append(...children.filter((child) => child !== null));
	return made;
}

export const byId = (id) => document.getElementById(id);

// Characters that do not show, or change the order in which others are shown:
// they could make a text look like another one. Line breaks and tabs are not
// among them, nor are the joiners that scripts and emoji need.
const unseen = /([\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb])/;

// visible makes nodes of a text that somebody else wrote, with what does not show
// given by its number.
export function visible(text) {
	return text.split(unseen).map((part, i) => {
		const odd = i % 2 === 1; // split keeps what it splits at
		return odd ? element("span", { className: "unseen" }, `U+${hex(part)}`) : part;
	});
}

const hex = (character) => character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");

// foreign is an element for a text that somebody else wrote. Its direction does
// not reach what stands around it.
export function foreign(name, text, properties = {}) {
	return element(name, { dir: "auto", ...properties }, ...visible(text));
}

// say shows a sentence for some seconds, and has it read out.
let unsaid;
export function say(sentence) {
	const place = byId("said");
	place.textContent = sentence;
	clearTimeout(unsaid);
	unsaid = setTimeout(() => { place.textContent = ""; }, 8000);
}

// copyButton makes a button that copies what text() gives at that moment.
export function copyButton(name, text) {
	const button = element("button", { type: "button", className: "quiet", ariaLabel: name }, "Copy");
	button.addEventListener("click", () => copy(text()));
	return button;
}

export async function copy(text) {
	try {
		await navigator.clipboard.writeText(text);
	} catch {
		// Without TLS browsers offer the old way alone.
		const area = element("textarea", { value: text, className: "offscreen" });
		(document.querySelector("dialog:modal") ?? document.body).append(area);
		area.select();
		const done = document.execCommand("copy");
		area.remove();
		if (!done) {
			say("The browser does not let this page copy. Select the text, and copy it by hand.");
			return;
		}
	}
	say("Copied.");
}

// busy keeps a button from being pressed again until what it does is done. It
// keeps the focus, which a disabled one would lose.
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

// plural is a number, as the browser's locale writes it, with its noun.
const rules = new Intl.PluralRules("en"); // the nouns are English
export function plural(n, one, many = `${one}s`) {
	return `${n.toLocaleString()} ${rules.select(n) === "one" ? one : many}`;
}
