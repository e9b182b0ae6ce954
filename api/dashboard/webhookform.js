// The form that adds a webhook or changes one.

import { call } from "./api.js";
import { busy, byId, copy, element, foreign, say } from "./parts.js";

const dialog = byId("webhook-form");
const form = dialog.querySelector("form");
const field = form.elements;
const part = (selector) => form.querySelector(selector);
const submit = part("[type=submit]");
const typesPlace = part(".types");
const hint = byId("webhook-url-hint").textContent;

let webhook = null; // the one that is changed, null for a new one
let before = ""; // what the form said when it was opened
let saved = () => {};

// open shows the form, empty or for a webhook, and calls done when it was saved.
export function open(eventTypes, of, done) {
	[webhook, saved] = [of, done];
	form.reset();
	field.url.value = of?.url ?? "";
	field.description.value = of?.description ?? "";
	field.enabled.checked = of?.enabled ?? true;
	fillTypes(eventTypes, of?.event_types ?? ["*"]);
	byId("webhook-form-title").textContent = of ? "Edit webhook" : "Add webhook";
	submit.textContent = of ? "Save webhook" : "Add webhook";
	byId("webhook-secret-hint").textContent = (of?.has_secret
		? "A secret is set. Enter a new one to replace it."
		: "Signs each request, so that your endpoint can tell that it came from here."
	) + " Use Generate, or whsec_ followed by the base64 of at least 24 random bytes.";
	part(".remove").hidden = !of?.has_secret;
	submit.ariaDisabled = null; // what it waits for is another form's
	clearErrors();
	hintAtURL();
	warn();
	before = JSON.stringify(input());
	dialog.showModal();
	field.url.focus();
}

const url = () => field.url.value.trim();

// input is what the form says, as the API takes it.
function input() {
	const secret = field.remove.checked ? null : field.secret.value;
	return {
		url: url(), description: field.description.value, enabled: field.enabled.checked,
		event_types: chosenTypes(), ...(secret === "" ? {} : { secret }),
	};
}

// changes leaves out what the webhook has already: somebody else may be changing
// that.
function changes(all) {
	const text = (of) => JSON.stringify(Array.isArray(of) ? of.toSorted() : of);
	const same = (name) => text(all[name]) === text(webhook[name]);
	return Object.fromEntries(Object.entries(all).filter(([name]) => !same(name)));
}

const errorOf = (name) => part(`[data-for="${name}"]`);

function showError(name, sentence = "") {
	errorOf(name).textContent = sentence;
	if (field[name]?.setAttribute) {
		field[name].ariaInvalid = sentence === "" ? null : "true";
	}
}

function clearErrors() {
	form.querySelectorAll("[data-for]").forEach((place) => showError(place.dataset.for));
}

function hintAtURL() {
	const sentence = url() && checkURL(url()).hint;
	byId("webhook-url-hint").textContent = sentence || hint;
	byId("webhook-url-hint").classList.toggle("warning", Boolean(sentence));
}

function warn() {
	const none = field.secret.value === "";
	byId("webhook-secret-warning").textContent = none
		? "" : "Copy it now: it cannot be seen again once it is saved. Your endpoint needs it to check signatures.";
	part(".copy").hidden = none;
	field.secret.disabled = part(".generate").disabled = field.remove.checked;
}

async function save() {
	const all = input();
	const [of, then] = [webhook, saved];
	clearErrors();
	// What is wrong without asking Caddy.
	const errors = [
		{ field: "url", detail: checkURL(all.url).error },
		{ field: "event_types", detail: all.event_types.length === 0 && "Select at least one type, or send all." },
	].filter(({ detail }) => detail);
	try {
		if (errors.length > 0) {
			throw { errors };
		}
		const done = of === null
			? await call("webhooks", { method: "POST", body: all })
			: await call(`webhooks/${of.id}`, { method: "PATCH", body: changes(all) });
		if (saved === then) {
			dialog.close();
		}
		say(of === null ? "Webhook added." : "Webhook saved.");
		then(done);
	} catch (problem) {
		if (saved === then) {
			showProblem(problem);
		}
	}
}

function showProblem({ message, errors }) {
	for (const { field: path, detail } of errors.length > 0 ? errors : [{ field: "", detail: message }]) {
		const name = path.split(".")[0]; // event_types.0
		showError(errorOf(name) ? name : "", detail);
	}
	part("[aria-invalid=true]")?.focus();
}

form.onsubmit = (event) => {
	event.preventDefault();
	busy(submit, save);
};
// What was wrong with a field may be so no more once it has changed.
form.oninput = ({ target }) => {
	const of = target.closest("fieldset") ? "event_types" : target.name;
	["", of].filter((name) => name !== "url" && errorOf(name)).forEach((name) => showError(name));
};
field.url.oninput = () => {
	hintAtURL();
	showError("url", "https://".startsWith(url()) ? "" : checkURL(url()).error); // it may become a URL yet
};
field.url.onchange = () => showError("url", url() && checkURL(url()).error);
field.secret.oninput = field.remove.onchange = warn;
part(".generate").onclick = () => {
	// The form of Standard Webhooks; the whole text is as good a key elsewhere.
	field.secret.value = `whsec_${btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))}`;
	warn();
};
part(".copy").onclick = () => copy(field.secret.value);
part(".cancel").onclick = () => dialog.close();
dialog.onclose = () => dialog.open || form.reset(); // keeps no secret, unless it was opened again meanwhile
// Escape does not throw away what was typed.
dialog.oncancel = dialog.onkeydown = (event) => {
	if ((event.key ?? "Escape") === "Escape" && JSON.stringify(input()) !== before) {
		event.preventDefault();
		showError("", "You have unsaved changes. Press Cancel to discard them.");
	}
};

// The types: a box for each that there is, or a text where Caddy accepts any name.

function fillTypes(types, wanted) {
	field.types.value = wanted.includes("*") ? "all" : "some";
	const names = wanted.filter((name) => name !== "*");
	// A webhook may want what was configured once.
	const gone = names.filter((name) => !types.some((type) => type.name === name))
		.map((name) => ({ name, description: "No longer configured: deselect it to change the others." }));
	typesPlace.replaceChildren(...types.length > 0
		? [...types, ...gone].map(({ name, description }) => box(name, description, names.includes(name)))
		: [element("label", "Names, one per line", element("textarea", { rows: 4, spellcheck: false, value: names.join("\n") }))]);
	toggleTypes();
}

function box(name, description, checked) {
	const id = `type-${name}`;
	return element(
		"div.type",
		element(
			"label.choice", element("input", { type: "checkbox", value: name, checked, "aria-describedby": id }), " ", foreign("span", name),
		),
		element("p.hint.under", { id }, description),
	);
}

function toggleTypes() {
	typesPlace.hidden = field.types.value === "all";
}
form.addEventListener("change", toggleTypes);

function chosenTypes() {
	if (field.types.value === "all") {
		return ["*"];
	}
	const text = typesPlace.querySelector("textarea");
	return text
		? text.value.split("\n").map((name) => name.trim()).filter(Boolean)
		: [...typesPlace.querySelectorAll("input:checked")].map((input) => input.value);
}

// checkURL gives an error, or a hint, or neither. Caddy's word is the last: only its
// configuration knows whether http or an address that is not public may be used.
function checkURL(text) {
	const url = URL.parse(text);
	if (text === "") {
		return { error: "The URL is missing." };
	}
	if (/[\s\u0000-\u001f\u007f]/.test(text)) {
		return { error: "The URL contains a space or a control character." };
	}
	if (url === null || !/^https?:\/\//i.test(text)) {
		return { error: "The URL must be absolute and begin with https://." };
	}
	if (url.username || url.password || text.includes("#")) {
		return { error: "The URL must not have a user name, password or fragment (#…)." };
	}
	if (special.test(url.hostname)) {
		return { hint: `${url.hostname} is not a public address: Caddy refuses it unless it is configured to allow it.` };
	}
	if (url.protocol === "http:") {
		return { hint: "Use https: Caddy refuses http unless it is configured to allow it." };
	}
	return {};
}

// The usual hosts that are not public. Other names may lead there, too.
const special = new RegExp([
	String.raw`^(.+\.)?localhost\.?$`,
	String.raw`^(0|10|127|169\.254|172\.(1[6-9]|2\d|3[01])|192\.168|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])|22[4-9]|2[3-5]\d)\.[\d.]+$`,
	String.raw`^\[(::|f[cdef]|64:ff9b:|2001:(0|db8):)`,
].join("|"));
