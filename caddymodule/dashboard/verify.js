// How to send a request by hand, and how to check a signature.

import { copyButton, element } from "./dom.js";

const header = "X-Level-Signature"; // unless signature_header was configured

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

// curl is a command that sends a request as it was sent, signed with a secret
// that only its owner knows.
export function curl(request) {
	return `SECRET='the secret of the webhook'
BODY=${quoted(request.request_body)}
SIGNATURE=$(printf %s "$BODY" | openssl dgst -sha256 -hmac "$SECRET" | sed 's/.* //')
curl ${quoted(request.url)} \\
  -H 'Content-Type: application/json' \\
  -H "${header}: sha256=$SIGNATURE" \\
  --data-raw "$BODY"
`;
}

const examples = {
	Go: `func verify(secret string, body []byte, signature string) bool {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	want := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(signature), []byte(want))
}`,
	JavaScript: `import { createHmac, timingSafeEqual } from "node:crypto";

function verify(secret, body, signature) { // body: a Buffer, as it came
  const want = Buffer.from("sha256=" + createHmac("sha256", secret).update(body).digest("hex"));
  const got = Buffer.from(signature ?? "");
  return got.length === want.length && timingSafeEqual(got, want);
}`,
	Python: `import hashlib, hmac

def verify(secret: str, body: bytes, signature: str) -> bool:
    want = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(signature.encode(), want.encode())`,
	Ruby: `require "openssl"

def verify(secret, body, signature)
  want = "sha256=" + OpenSSL::HMAC.hexdigest("SHA256", secret, body)
  OpenSSL.secure_compare(want, signature.to_s)
end`,
	PHP: `function verify(string $secret, string $body, string $signature): bool {
    $want = "sha256=" . hash_hmac("sha256", $body, $secret);
    return hash_equals($want, $signature);
}`,
};

let language = "Go"; // stays chosen from request to request

export function verifySection() {
	const code = element("pre", { tabIndex: 0, role: "region", ariaLabel: "Code" });
	const choice = element("select", { ariaLabel: "Language" }, ...Object.keys(examples).map((name) => element("option", {}, name)));
	const show = () => {
		language = choice.value;
		code.textContent = examples[language];
	};
	choice.value = language;
	choice.addEventListener("change", show);
	show();
	return element(
		"details", {}, element("summary", {}, "Verify the signature"),
		element("p", { className: "hint" }, `${header}, unless the header was configured to be another one, is sha256= and the hex HMAC-SHA256 of the body. Check it over the raw bytes, before parsing them.`),
		element("div", { className: "bar" }, choice, copyButton("Copy code", () => examples[language])),
		code,
	);
}
