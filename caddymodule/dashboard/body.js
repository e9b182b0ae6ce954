// A body, as it was sent or answered: text, whatever it is. JSON is laid out,
// unless the raw text is asked for.

import { copyButton, element, visible } from "./dom.js";
import { pretty } from "./json.js";

// bodySection shows a body under a title; note says something of it.
export function bodySection(title, text, note = "") {
	const heading = element("h3", {}, title);
	if (text === null || text === "") {
		return element("section", {}, heading, element("p", { className: "hint" }, note || "Empty."));
	}
	const laidOut = pretty(text);
	const shown = element("pre", { tabIndex: 0, role: "region", ariaLabel: title });
	const raw = element("input", { type: "checkbox", ariaLabel: `Raw ${title.toLowerCase()}` });
	const show = () => shown.replaceChildren(...visible(raw.checked ? text : laidOut ?? text));
	raw.addEventListener("change", show);
	show();
	return element(
		"section", {},
		element(
			"div", { className: "bar" }, heading,
			laidOut === null ? null : element("label", { className: "choice" }, raw, " Raw"),
			copyButton(`Copy ${title.toLowerCase()}`, () => text),
		),
		shown,
		note === "" ? null : element("p", { className: "hint" }, note),
	);
}
