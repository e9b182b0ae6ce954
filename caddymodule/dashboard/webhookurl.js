// Says at once, while a URL is typed, what Caddy would say of it. Caddy's word is
// the last: whether http or an address that is not public may be used, only its
// configuration knows.

// checkURL gives an error, or a hint, or neither.
export function checkURL(text) {
	if (text === "") {
		return { error: "The URL is missing." };
	}
	if (/[\s\u0000-\u001f\u007f]/.test(text)) {
		return { error: "The URL contains a space or a control character." };
	}
	const url = URL.parse(text);
	if (url === null || !/^https?:\/\//i.test(text)) {
		return { error: "The URL must be absolute and begin with https://." };
	}
	if (url.username || url.password) {
		return { error: "The URL must not contain a user name or password." };
	}
	if (text.includes("#")) {
		return { error: "The URL must not have a fragment (#…)." };
	}
	if (!isPublic(url.hostname)) {
		return { hint: `${url.hostname} is not a public address: Caddy refuses it, unless it was configured to allow it.` };
	}
	if (url.protocol === "http:") {
		return { hint: "Use https: Caddy refuses http, unless it was configured to allow it." };
	}
	return {};
}

// isPublic looks for the usual mistakes; a name may still lead to an address
// that is not public, which Caddy finds out when it connects.
function isPublic(host) {
	const name = host.replace(/\.$/, "");
	if (name === "localhost" || name.endsWith(".localhost")) {
		return false;
	}
	if (host.startsWith("[")) {
		return !/^\[(::|f[cdef]|64:ff9b:|2001:(0|db8):)/.test(host) || /^\[::[0-9a-f]+:[0-9a-f]+:[0-9a-f]+:/.test(host);
	}
	const parts = /^(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(host)?.slice(1).map(Number);
	if (!parts) {
		return true;
	}
	const [a, b, c] = parts;
	return !(a === 0 || a === 10 || a === 127 || a >= 224 || (a === 100 && b >= 64 && b < 128) || (a === 169 && b === 254) ||
		(a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168) || (a === 192 && b === 0 && (c === 0 || c === 2)) ||
		(a === 198 && (b === 18 || b === 19 || (b === 51 && c === 100))) || (a === 203 && b === 0 && c === 113));
}
