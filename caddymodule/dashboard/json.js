const deepest = 40; // levels that are indented: a hostile body has thousands

// pretty lays out JSON with a member per line; null if the text is no JSON. It
// works on the text: numbers keep every digit, and members their order, repeated
// or not.
export function pretty(text) {
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
		switch (token) {
		case "{":
		case "[":
			depth++;
			out += token + line();
			break;
		case "}":
		case "]":
			depth--;
			out += line() + token;
			break;
		case ",":
			out += token + line();
			break;
		case ":":
			out += ": ";
			break;
		default:
			out += /^[{[]/.test(token) ? token.replace(/\s/g, "") : token;
		}
	}
	return out;
}
