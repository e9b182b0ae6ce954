// The only module that talks to Caddy. Paths are relative to the page's, wherever
// that is mounted.

// Problem says what went wrong, in a sentence; errors, with which field. Status 0
// means that there was no answer.
class Problem extends Error {
	constructor(status, message, errors = []) {
		super(message);
		Object.assign(this, { status, errors });
	}
}

const away = "Caddy cannot be reached.";
const signedOut = "You are no longer signed in. Sign in again in another tab, then try again here," +
	" or reload this page. What you have typed is kept until you reload.";

// call asks the API and gives its answer, null if that is empty or a stream. It
// throws a Problem.
export async function call(path, { method, body } = {}) {
	const answer = await ask(`api/${path}`, {
		method, ...(body && { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
	});
	if (answer.status === 204 || answer.headers.get("Content-Type") === "text/event-stream") {
		answer.body?.cancel();
		return null;
	}
	const content = await answer.json().catch(() => undefined);
	if (answer.ok && content !== undefined) {
		return content;
	}
	const detail = content?.detail ?? `The answer, ${answer.status}, is not one of the API's. Is there a proxy in between?`;
	if (answer.status === 503) {
		lose(detail);
	}
	throw new Problem(answer.status, detail, content?.errors);
}

// ask sends a request, and notices when nobody answers, or when somebody wants
// the user to sign in first: by a 401, or by sending to a page for that.
async function ask(path, options) {
	const answer = await fetch(path, { ...options, redirect: "manual" }).catch(() => null);
	if (answer === null) {
		lose(away);
		throw new Problem(0, options.method
			? "Caddy did not answer. Before you try again, check whether it was done."
			: `${away} This page tries again by itself.`);
	}
	if (answer.status === 401 || answer.type === "opaqueredirect") {
		tell({ detail: signedOut, button: true });
		throw new Problem(401, signedOut);
	}
	if (answer.ok && state?.button) {
		tell(null); // signed in again
	}
	return answer;
}

// The state of the connection: null if all is well, or what is wrong.
let state = null;
let listener;

// onConnection has a listener told of each change of the connection.
export function onConnection(told) {
	listener = told;
}

function tell(next) {
	const before = state;
	state = next;
	listener(state, before);
}

// retry has the page ask anew for what it shows, after the user signed in.
export const retry = () => tell(null);

// lose notes that Caddy or its store does not answer, and asks until it does.
async function lose(detail) {
	if (state !== null) {
		return;
	}
	const mine = { detail: `${detail} Trying again…` };
	tell(mine);
	let wait = 500;
	do {
		await new Promise((resolve) => { setTimeout(resolve, wait); });
		wait = Math.min(wait * 1.5, 5000);
	} while (!await healthy());
	if (state === mine) {
		tell(null);
	}
}

const healthy = () => fetch("api/health", { redirect: "manual" }).then(({ status }) => status < 500, () => false);

// Somebody who looks at the page is told of a loss without asking for anything.
setInterval(async () => {
	if (!document.hidden && state === null && !await healthy()) {
		lose("Caddy or its store cannot be reached.");
	}
}, 15_000);
window.addEventListener("offline", () => lose("This device is offline."));
