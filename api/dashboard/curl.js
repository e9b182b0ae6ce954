// A command that sends a request again by hand: the same bytes to the same URL with the
// same headers, signed anew, since signatures are not kept.

import { copyButton, element, scrolled } from "./parts.js";

// curlSection shows the command, for bash and zsh.
export function curlSection(request) {
	const command = curl(request);
	const signed = command.startsWith("SECRET=") && " The page does not know the secret: put it into the first line.";
	return element(
		"details", element("summary", "Copy as curl"),
		element("p.hint", "For bash or zsh.", signed),
		scrolled("curl command", command), copyButton("Copy curl command", command),
	);
}

// What a terminal would act on, and what nobody sees: control characters, spaces of other
// kinds, and what changes only the look of others. Lines may break.
const awkward = /(?![ \n])[\p{C}\p{Z}\p{DI}]/u;
const escaped = /(?![ \n])[\p{C}\p{Z}\p{DI}'\\]/gu;

const octal = (character) => [...new TextEncoder().encode(character)].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
const short = { "\t": "\\t", "\r": "\\r", "\\": "\\\\" };

function quoted(text) {
	return awkward.test(text)
		? `$'${text.replace(escaped, (character) => short[character] ?? octal(character))}'`
		: `'${text.replaceAll("'", `'\\''`)}'`;
}

// sent is a URL as requests have it: its path and query without what they must not contain,
// and a host that is not ASCII as DNS has it.
function sent(url) {
	const [, origin, rest] = /^(\w+:\/\/[^/?]*)(.*)$/s.exec(url);
	return (/[^!-~]/.test(origin) ? URL.parse(origin).origin : origin) + rest.replace(/[^\w.~!$&'()*+,;=:@/?%[\]-]/gu, encodeURIComponent);
}

function curl({ url, request_body: body, request_headers: kept }) {
	const headers = Object.keys(kept).length > 0 ? kept : { "Content-Type": "application/json", "X-Level-Signature": "sha256=" };
	const names = Object.keys(headers);
	const own = names.find((name) => headers[name].startsWith("sha256="));
	const standard = names.find((name) => headers[name].startsWith("v1,"));
	const fresh = { [own]: `sha256='"$SIGNATURE"`, [standard]: `v1,'"$STANDARD"`, "Webhook-Timestamp": `'"$NOW"` };
	return [
		own && "SECRET='the secret of the webhook'",
		`BODY=${quoted(body)}`,
		own && `SIGNATURE=$(printf %s "$BODY" | openssl dgst -sha256 -hmac "$SECRET" | sed 's/.* //')`,
		names.includes("Webhook-Timestamp") && "NOW=$(date +%s)",
		// A secret of Standard Webhooks is its key in base64.
		standard && `KEY=$(if [ "\${SECRET#whsec_}" = "$SECRET" ]; then printf %s "$SECRET"; else printf %s "\${SECRET#whsec_}" | openssl base64 -d -A; fi | od -An -v -tx1 | tr -d ' \\n')`,
		standard && `STANDARD=$(printf %s ${quoted(headers["Webhook-Id"])}".$NOW.$BODY" | openssl dgst -sha256 -mac HMAC -macopt hexkey:"$KEY" -binary | openssl base64 -A)`,
		`printf %s "$BODY" | curl --globoff --path-as-is ${quoted(sent(url))} \\`,
		...names.map((name) => `  -H ${name in fresh ? `'${name}: ${fresh[name]}` : quoted(`${name}: ${headers[name]}`)} \\`),
		"  --data-binary @-",
	].filter(Boolean).join("\n");
}
