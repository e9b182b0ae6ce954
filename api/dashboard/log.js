// A list of any length that scrolls with the page. It is read page by page, each by
// the cursor that the one before it gave. Only the pages near what is in sight are in
// the document; the others leave their height, and those far away are forgotten and
// read again when they are scrolled to.

const near = 1; // how many times the window's height is shown above and below it
const ahead = 2; // how many times the window's height is read ahead
const remembered = 20; // pages on each side whose rows are kept
const long = 250; // rows of the first page

export class Log {
	restarting = false; // it is being read anew
	#of; // frame, as high as the whole list; read, of the page at a cursor; makeRow; told of each change; shown
	#table;
	#pages = []; // {cursor, next, rows or null, last: its last id, height, body: its tbody or null}
	#run = 0; // counts lists: an answer for an earlier one is thrown away
	#reading = false;
	#problem = null;
	#planned = false;
	#focused = false; // the focus was in rows that others take the place of
	#pointed = false; // a mouse or pen is on the list

	constructor(of) {
		this.#of = of;
		this.#table = of.frame.querySelector("table");
		const plan = () => this.#plan();
		window.addEventListener("scroll", plan, { passive: true });
		of.frame.onpointerenter = ({ pointerType }) => { this.#pointed = pointerType !== "touch"; };
		of.frame.onpointerleave = () => { this.#pointed = false; };
		new ResizeObserver(plan).observe(of.frame); // by the window, or by what stands beside it
	}

	// restart reads the list anew. What is there is shown until the first page has
	// come, unless it is to be forgotten.
	restart(forget = false) {
		if (forget) {
			this.#replace([]);
		}
		this.#anew(() => true);
	}

	// renew does so for what came by itself, and says whether it is well: not if somebody
	// holds the list by then.
	async renew() {
		let well = true;
		await this.#anew(() => {
			well = !this.held();
			return well;
		});
		return well;
	}

	#anew(wanted) {
		this.#run++;
		this.restarting = true;
		return this.#load(null, (page) => wanted() && this.#replace([page]));
	}

	// again reads what could not be read.
	again() {
		if (this.restarting && this.#problem !== null) {
			this.restart();
		}
		this.#problem = null;
		this.#plan();
	}

	// add puts requests into their places, by their ids, and says whether the first
	// page is still short. What belongs to pages that are forgotten comes with them.
	add(requests) {
		for (const request of requests) {
			const page = this.#pages.find(({ next, last }) => next === null || request.id > last);
			if (page?.rows && !page.rows.some(({ id }) => id === request.id)) {
				const older = page.rows.findIndex(({ id }) => id < request.id);
				const at = older < 0 ? page.rows.length : older;
				page.rows.splice(at, 0, request);
				page.body?.insertBefore(this.#of.makeRow(request), page.body.rows[at] ?? null);
			}
		}
		this.#tell();
		this.#look();
		return !(this.#pages[0]?.rows.length > long);
	}

	// catchUp adds what the first page has by now, and says whether it could be read, and
	// nobody holds the list by then.
	async catchUp() {
		const run = this.#run;
		const page = await this.#of.read(null).catch(() => null);
		if (run !== this.#run) {
			return true;
		}
		const well = page !== null && !this.held();
		if (well) {
			this.add(page.data);
		}
		return well;
	}

	// held says whether somebody points at the list, reads further down, or moves in it by
	// the keyboard.
	held() {
		return this.#pointed || this.#of.frame.getBoundingClientRect().top < -1 || this.#table.querySelector("tbody :focus-visible") !== null;
	}

	scrollToTop() {
		this.#of.frame.scrollIntoView();
	}

	rows() {
		return [...this.#table.querySelectorAll("tbody > tr")];
	}

	#replace(pages) {
		this.#focused ||= this.#table.contains(document.activeElement);
		this.#pages.forEach(hide);
		this.#pages = pages;
	}

	// load reads the page at a cursor, to be used if the list is still the same.
	async #load(cursor, use) {
		const run = this.#run;
		this.#reading = true;
		this.#problem = null;
		this.#tell();
		let problem = null;
		const page = await this.#of.read(cursor).catch((why) => { problem = why; });
		if (run !== this.#run) {
			return;
		}
		this.#reading = false;
		this.restarting &&= !page;
		this.#problem = problem;
		if (page) {
			const { data: rows, next_cursor: next } = page;
			use({ cursor, next, rows, last: rows.at(-1)?.id, height: 0, body: null });
		}
		this.#tell();
		this.#look();
	}

	#tell() {
		this.#of.told({
			pages: this.#pages.length,
			empty: this.#pages.length === 1 && this.#pages[0].rows?.length === 0,
			whole: this.#pages.at(-1)?.next === null,
			reading: this.#reading,
			problem: this.#problem,
		});
	}

	// plan looks once per frame at what is in sight.
	#plan() {
		if (!this.#planned) {
			this.#planned = true;
			requestAnimationFrame(() => {
				this.#planned = false;
				this.#look();
			});
		}
	}

	#look() {
		const { frame } = this.#of;
		if (this.#pages.length === 0 || frame.offsetParent === null) {
			return;
		}
		for (const page of this.#pages) {
			page.height = page.body?.offsetHeight ?? page.height;
		}
		const top = -frame.getBoundingClientRect().top;
		const height = window.innerHeight;
		if (this.#show(top - near * height, top + (1 + near) * height)) {
			this.#plan(); // they are painted first, and may leave room for others
			return;
		}
		const end = this.#pages.reduce((sum, page) => sum + page.height, 0);
		const { next } = this.#pages.at(-1);
		if (next !== null && end < top + (1 + ahead) * height && this.#free()) {
			this.#load(next, (page) => this.#pages.push(page));
		}
	}

	#free() {
		return !this.#reading && this.#problem === null;
	}

	// show has the pages in the document that reach into a stretch of the list, and says
	// whether some are new there.
	#show(from, to) {
		let [top, above, below] = [0, 0, 0];
		let before = this.#table.tHead;
		let filled = false;
		const lastPage = this.#pages.length - 1;
		let [first, last] = [null, null];
		for (const [i, page] of this.#pages.entries()) {
			top += page.height;
			first ??= top >= from || i === lastPage ? i : null;
			last ??= top >= to || i === lastPage ? i : null;
		}
		for (const [i, page] of this.#pages.entries()) {
			if (i < first || i > last) {
				hide(page);
				// What is newest would not be the same when it is read again.
				if (i > 0 && (i < first - remembered || i > last + remembered)) {
					page.rows = null;
				}
				above += i < first ? page.height : 0;
				below += i > last ? page.height : 0;
			} else if (page.rows === null) {
				above += page.height;
				if (this.#free()) {
					this.#load(page.cursor, ({ rows }) => { page.rows = rows; });
				}
			} else {
				filled ||= page.body === null;
				page.body ??= this.#makeBody(page, before);
				before = page.body;
			}
		}
		this.#of.frame.style.paddingTop = `${above}px`;
		this.#of.frame.style.paddingBottom = `${below}px`;
		this.#of.shown(this.#focused);
		this.#focused = false;
		return filled;
	}

	#makeBody(page, before) {
		const body = document.createElement("tbody");
		body.role = "rowgroup";
		body.append(...page.rows.map(this.#of.makeRow));
		before.after(body);
		return body;
	}
}

function hide(page) {
	page.body?.remove();
	page.body = null;
}
