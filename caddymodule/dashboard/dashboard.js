// The page's only script. What the API answers is set as text, never as markup.

const notice = document.getElementById("notice");
const detail = document.getElementById("detail");
const older = document.getElementById("older");
const rerun = document.getElementById("rerun");
const time = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
let shown = null; // the request in the detail panel

// call asks the API, whose path is relative to the page's. It throws what the
// problem says.
async function call(path, method = "GET") {
	let answer;
	try {
		answer = await fetch(`api/${path}`, { method });
	} catch {
		throw new Error("Caddy cannot be reached. Is it running?");
	}
	const body = await answer.json().catch(() => ({}));
	if (!answer.ok) {
		throw new Error(body.detail ?? `Caddy answered ${answer.status}.`);
	}
	return body;
}

// attempt does what may fail, and says so on the page.
async function attempt(what) {
	notice.textContent = "";
	try {
		await what();
	} catch (problem) {
		notice.textContent = problem.message;
	}
}

function element(name, text, className = "") {
	const made = document.createElement(name);
	made.textContent = text;
	made.className = className;
	return made;
}

function when(text) {
	return text ? time.format(new Date(text)) : "--";
}

function fill(panel, rows) {
	panel.querySelector("tbody").append(...rows);
	panel.querySelector(".empty").hidden = panel.querySelector("tbody tr") !== null;
}

async function showWebhooks() {
	const { data } = await call("webhooks");
	const panel = document.getElementById("webhooks");
	panel.querySelector("tbody").replaceChildren();
	fill(panel, data.map((webhook) => {
		const row = document.createElement("tr");
		const types = webhook.event_types.includes("*") ? "all" : webhook.event_types.join(", ");
		row.append(
			element("td", webhook.url, "url"), element("td", types),
			element("td", webhook.description ?? ""), element("td", webhook.enabled ? "yes" : "no"),
		);
		return row;
	}));
}

function attemptOf(request) {
	return request.attempt ? `${request.attempt}/${request.max_attempts}` : request.trigger;
}

function requestRow(request) {
	const row = document.createElement("tr");
	row.tabIndex = 0;
	row.append(
		element("td", request.status, request.status), element("td", request.status_code ?? "--"),
		element("td", request.url, "url"), element("td", request.event_type),
		element("td", attemptOf(request)), element("td", when(request.started_at)),
	);
	const open = () => attempt(() => showRequest(request.id));
	row.addEventListener("click", open);
	row.addEventListener("keydown", (event) => {
		if (event.key === "Enter") {
			open();
		}
	});
	return row;
}

// showRequests shows the newest requests, or those after a cursor below what is
// there already.
async function showRequests(cursor) {
	const page = await call(`requests?limit=50${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
	const panel = document.getElementById("requests");
	if (!cursor) {
		panel.querySelector("tbody").replaceChildren();
	}
	fill(panel, page.data.map(requestRow));
	older.hidden = page.next_cursor === null;
	older.dataset.cursor = page.next_cursor ?? "";
}

async function showRequest(id) {
	showDetail(await call(`requests/${id}`));
}

function showDetail(request) {
	shown = request;
	const list = detail.querySelector("dl");
	list.replaceChildren();
	for (const [name, value, className] of [
		["Event time", when(request.occurred_at)],
		["Status", request.status, request.status],
		["Status code", request.status_code ?? "--"],
		["Full URL", request.url],
		["Event", `${request.event_type} ${request.event_id}`],
		["Attempt", attemptOf(request)],
		["Next attempt", when(request.next_attempt_at)],
		["Error message", request.error || "none"],
		["Response body", request.response_body || "(empty)", "body"],
		["Request body", request.request_body ?? "(no longer kept)", "body"],
	]) {
		list.append(element("dt", name), element("dd", value, className));
	}
	if (!detail.open) {
		detail.showModal();
	}
}

async function rerunShown() {
	rerun.disabled = true;
	try {
		showDetail(await call(`requests/${shown.id}/rerun`, "POST"));
		await showRequests();
	} catch (problem) {
		detail.close();
		throw problem;
	} finally {
		rerun.disabled = false;
	}
}

const tabs = [...document.querySelectorAll("[role=tab]")];
const pages = { webhooks: showWebhooks, requests: () => showRequests() };

// select shows the page of a tab, which stays in the address.
function select(name) {
	for (const tab of tabs) {
		const selected = tab.getAttribute("aria-controls") === name;
		tab.setAttribute("aria-selected", selected);
		tab.tabIndex = selected ? 0 : -1;
		document.getElementById(tab.getAttribute("aria-controls")).hidden = !selected;
	}
	return attempt(pages[name]);
}

for (const [i, tab] of tabs.entries()) {
	tab.addEventListener("click", () => { location.hash = tab.getAttribute("aria-controls"); });
	tab.addEventListener("keydown", (event) => {
		const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
		if (step) {
			const next = tabs[(i + step + tabs.length) % tabs.length];
			next.focus();
			next.click();
		}
	});
}
const fromAddress = () => select(location.hash.slice(1) in pages ? location.hash.slice(1) : "webhooks");
window.addEventListener("hashchange", fromAddress);
older.addEventListener("click", () => attempt(() => showRequests(older.dataset.cursor)));
rerun.addEventListener("click", () => attempt(rerunShown));
document.getElementById("close").addEventListener("click", () => detail.close());
fromAddress();
