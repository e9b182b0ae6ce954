// What the other modules build the page with. Values are set as text, never as
// markup.

// element makes an element, "p.hint" one with a class. Properties may come first;
// those that the element does not have are its attributes. What is false or null
// among the children is left out.
export function element(what, ...children) {
	const [name, ...classes] = what.split(".");
	const made = document.createElement(name);
	made.classList.add(...classes);
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

// Characters that do not show, or change the order in which others are shown:
// they could make a text look like another one. Line breaks and tabs are not
// among them, nor are the joiners that scripts and emoji need.
const unseen = /([\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb])/;

// visible makes nodes of a text that somebody else wrote, with what does not show
// given by its number.
export function visible(text) {
	return text.split(unseen).map((part, i) => (
		i % 2 === 0 ? part : element("span.unseen", `U+${hex(part.charCodeAt(0), 4).toUpperCase()}`) // split keeps what it splits at
	));
}

export const hex = (number, digits) => number.toString(16).padStart(digits, "0");

// foreign is an element for a text that somebody else wrote. Its direction does
// not reach what stands around it.
export function foreign(what, text, properties) {
	return element(what, { dir: "auto", ...properties }, ...visible(text));
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
export function copyButton(ariaLabel, text) {
	return element("button.quiet", { ariaLabel, onclick: () => copy(text()) }, "Copy");
}

export async function copy(text) {
	try {
		await navigator.clipboard.writeText(text);
	} catch {
		// Without TLS browsers offer the old way alone.
		const area = element("textarea.offscreen", { value: text });
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

// plural is a number, as the browser's locale writes it, with its noun, which is
// English.
export function plural(n, one, many = `${one}s`) {
	return `${n.toLocaleString()} ${n === 1 ? one : many}`;
}
