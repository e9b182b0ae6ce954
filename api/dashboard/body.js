// The bodies and headers of a request, and how to check its signature.

import { copyButton, element, scrolled, visible } from "./parts.js";

// bodySection shows a body under a title; note says something of it. It is text,
// whatever it is; JSON is laid out, unless the raw text is asked for.
export function bodySection(title, text, note) {
	const heading = element("h3", title);
	if (text === null || text === "") {
		return element("section", heading, element("p.hint", note || "Empty."));
	}
	const laidOut = pretty(text);
	const shown = scrolled(title);
	const show = () => shown.replaceChildren(...visible(raw.checked ? text : laidOut ?? text));
	const raw = element("input", { type: "checkbox", ariaLabel: `Raw ${title.toLowerCase()}`, onchange: show });
	show();
	return element(
		"section",
		element(
			"div.bar", heading,
			laidOut !== null && element("label.choice", raw, " Raw"),
			copyButton(`Copy ${title.toLowerCase()}`, text),
		),
		shown,
		note && element("p.hint", note),
	);
}

const deepest = 40; // levels that are indented: a hostile body has thousands

// pretty lays out JSON with a member per line; null if the text is no JSON. It
// works on the text: numbers keep every digit, and members their order, repeated
// or not.
function pretty(text) {
	try {
		JSON.parse(text);
	} catch {
		return null;
	}
	let out = "";
	let depth = 0;
	const line = () => `\n${"  ".repeat(Math.min(depth, deepest))}`;
	// A string, an empty object or array, one sign, or a number, true, false, null.
	for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|\{\s*\}|\[\s*\]|[{}[\],:]|[^\s{}[\],:"]+/g)) {
		if ("{[".includes(token)) {
			depth++;
			out += token + line();
		} else if ("}]".includes(token)) {
			depth--;
			out += line() + token;
		} else if (token === ",") {
			out += token + line();
		} else if (token === ":") {
			out += ": ";
		} else {
			out += /^[{[]/.test(token) ? token.replace(/\s/g, "") : token;
		}
	}
	return out;
}

// headerSection has what was sent beside the body, signatures masked.
export function headerSection({ request_headers: headers }) {
	const text = Object.entries(headers).map(([name, value]) => `${name}: ${value}`).join("\n");
	return element(
		"section", element("h3", "Request headers"),
		text ? scrolled("Request headers", text) : element("p.hint", "Not kept."),
	);
}

// signatureHeader is the name of the header that has the signature, if any has.
const signatureHeader = ({ request_headers: headers }) => (
	Object.keys(headers).length > 0 ? Object.keys(headers).find((name) => headers[name].startsWith("sha256=")) : "X-Level-Signature"
);

const examples = {
	Go: `func verify(secret string, body []byte, signature string) bool {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	want := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(signature), []byte(want))
}`,
	JavaScript: `import { createHmac, timingSafeEqual } from "node:crypto";

function verify(secret, body, signature) { /* body: a Buffer, as it came */
  const want = Buffer.from("sha256=" + createHmac("sha256", secret).update(body).digest("hex"));
  const got = Buffer.from(signature ?? "");
  return got.length === want.length && timingSafeEqual(got, want);
}`,
	Python: `import hashlib, hmac

def verify(secret, body, signature):  # body: bytes, as they came
    want = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest((signature or "").encode(), want.encode())`,
	Ruby: `require "openssl"

def verify(secret, body, signature)
  want = "sha256=" + OpenSSL::HMAC.hexdigest("SHA256", secret, body)
  OpenSSL.secure_compare(want, signature.to_s)
end`,
	PHP: `function verify(string $secret, string $body, ?string $signature): bool {
    $want = "sha256=" . hash_hmac("sha256", $body, $secret);
    return hash_equals($want, $signature ?? "");
}`,
};

let language = "Go"; // stays chosen from request to request

export function verifySection(request) {
	const shown = element("div");
	const choice = element("select", { ariaLabel: "Language" }, ...Object.keys(examples).map((name) => element("option", name)));
	choice.onchange = () => {
		language = choice.value;
		shown.replaceChildren(scrolled("Code", examples[language]), copyButton("Copy code", examples[language]));
	};
	choice.value = language;
	choice.onchange();
	return element(
		"details", element("summary", "Verify the signature"),
		element("p.hint", `${signatureHeader(request) ?? "With a secret, the signature header"} is sha256= followed by the HMAC-SHA256 of the body in hex. Check it against the raw body, before you parse it.`),
		choice, shown,
	);
}
