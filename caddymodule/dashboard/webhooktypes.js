// The choice of event types in the form of a webhook: a box for each type that
// there is, or a text where Caddy accepts any name.

import { element, foreign } from "./dom.js";

// TypeChoice is the group of types in the form.
export class TypeChoice {
	#place;
	#form;

	constructor(form) {
		this.#form = form;
		this.#place = form.querySelector(".types");
		for (const radio of form.elements.types) {
			radio.addEventListener("change", () => this.#toggle());
		}
	}

	#toggle() {
		this.#place.hidden = this.#form.elements.types.value === "all";
	}

	// fill shows the types that there are, and which of them are wanted.
	fill(types, wanted) {
		const all = wanted.includes("*");
		this.#form.elements.types.value = all ? "all" : "some";
		if (types.length === 0) {
			this.#place.replaceChildren(element("label", {}, "Names, one on each line", element("textarea", {
				rows: 4, spellcheck: false, value: all ? "" : wanted.join("\n"),
			})));
		} else {
			// A webhook may want what was configured once.
			const gone = wanted.filter((name) => name !== "*" && !types.some((type) => type.name === name));
			this.#place.replaceChildren(
				...types.map(({ name, description }) => box(name, description, wanted.includes(name))),
				...gone.map((name) => box(name, "Not configured any more: take it away to change the others.", true)),
			);
		}
		this.#toggle();
	}

	// value is what the webhook is to have as event_types.
	value() {
		if (this.#form.elements.types.value === "all") {
			return ["*"];
		}
		const text = this.#place.querySelector("textarea");
		if (text) {
			return text.value.split("\n").map((name) => name.trim()).filter(Boolean);
		}
		return [...this.#place.querySelectorAll("input:checked")].map((input) => input.value);
	}
}

let boxes = 0;

function box(name, description, checked) {
	const id = `type-${boxes++}`;
	const input = element("input", { type: "checkbox", value: name, checked });
	const made = element("div", { className: "type" }, element("label", { className: "choice" }, input, " ", foreign("span", name)));
	if (description) {
		input.setAttribute("aria-describedby", id);
		made.append(element("p", { id, className: "hint under" }, description));
	}
	return made;
}
