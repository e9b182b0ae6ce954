// A list of any length that scrolls with the page. It is read page by page, each
// by the cursor that the one before it gave. Only the pages near what is in sight
// are in the document; the others leave their height, and those far away are
// forgotten and read again when they are scrolled to.

const near = 1; // how many times the window's height is shown above and below it
const ahead = 2; // how many times the window's height is read ahead
const remembered = 20; // pages on each side whose rows are kept

export class Log {
	#frame; // as high as the whole list
	#table;
	#read; // reads the page at a cursor, null for the first
	#makeRow;
	#told; // told of each change: what is known of the list now
	#shown; // told when other rows are in the document, and if the focus is to be there

	#pages = []; // {cursor, next, rows or null, height, body: its tbody or null}
	#run = 0; // counts lists: an answer for an earlier one is thrown away
	#reading = false;
	#problem = null;
	#planned = false;
	#focused = false; // the focus was in rows that others take the place of

	constructor({ frame, read, makeRow, told, shown }) {
		this.#frame = frame;
		this.#table = frame.querySelector("table");
		this.#read = read;
		this.#makeRow = makeRow;
		this.#told = told;
		this.#shown = shown;
		const plan = () => this.#plan();
		window.addEventListener("scroll", plan, { passive: true });
		// Its width changes with the window, and with what stands beside it.
		new ResizeObserver(plan).observe(frame);
	}

	// restart reads the list anew. What is there is shown until the first page has
	// come.
	restart() {
		this.#run++;
		this.#load(null, (page) => {
			this.#focused = this.#table.contains(document.activeElement);
			this.#pages.forEach(hide);
			this.#pages = [newPage(null, page)];
		});
	}

	// again reads what could not be read.
	again() {
		if (this.#problem !== null) {
			this.#problem = null;
			if (this.#pages.length === 0) {
				this.restart();
			} else {
				this.#plan();
			}
		}
	}

	// clear forgets the list, for another one takes its place.
	clear() {
		this.#run++;
		this.#pages.forEach(hide);
		this.#pages = [];
	}

	// rows are those in the document.
	rows() {
		return [...this.#table.querySelectorAll("tbody > tr")];
	}

	// load reads the page at a cursor, and has it used if the list is still the same.
	async #load(cursor, use) {
		const run = this.#run;
		this.#reading = true;
		this.#problem = null;
		this.#tell();
		let problem = null;
		const page = await this.#read(cursor).catch((why) => { problem = why; });
		if (run !== this.#run) {
			return;
		}
		this.#reading = false;
		this.#problem = problem;
		if (page) {
			use(page);
		}
		this.#tell();
		this.#look();
	}

	#tell() {
		this.#told({
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
		if (this.#pages.length === 0 || this.#frame.offsetParent === null) {
			return; // there is nothing, or it is not shown
		}
		for (const page of this.#pages) {
			page.height = page.body?.offsetHeight ?? page.height;
		}
		const top = -this.#frame.getBoundingClientRect().top;
		const height = window.innerHeight;
		this.#show(top - near * height, top + (1 + near) * height);
		const end = this.#pages.reduce((sum, page) => sum + page.height, 0);
		const { next } = this.#pages.at(-1);
		if (next !== null && end < top + (1 + ahead) * height && this.#free()) {
			this.#load(next, (page) => this.#pages.push(newPage(next, page)));
		}
	}

	#free() {
		return !this.#reading && this.#problem === null;
	}

	// between finds the first and last page that reach into a stretch of the list.
	#between(from, to) {
		let end = 0;
		const ends = this.#pages.map((page) => { end += page.height; return end; });
		const at = (y) => {
			const i = ends.findIndex((each) => each >= y);
			return i < 0 ? ends.length - 1 : i;
		};
		return [at(from), at(to)];
	}

	// show has the pages of a stretch of the list in the document, and no others.
	#show(from, to) {
		const [first, last] = this.#between(from, to);
		let [above, below] = [0, 0];
		let before = this.#table.tHead;
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
					this.#load(page.cursor, ({ data }) => { page.rows = data; });
				}
			} else {
				this.#fill(page, before);
				before = page.body;
			}
		}
		this.#frame.style.paddingTop = `${above}px`;
		this.#frame.style.paddingBottom = `${below}px`;
		this.#shown(this.#focused);
		this.#focused = false;
	}

	#fill(page, before) {
		if (page.body) {
			return;
		}
		page.body = document.createElement("tbody");
		page.body.role = "rowgroup";
		page.body.append(...page.rows.map(this.#makeRow));
		before.after(page.body);
		page.height = page.body.offsetHeight;
		this.#plan(); // it may leave room for another one
	}
}

function newPage(cursor, { data, next_cursor: next }) {
	return { cursor, next, rows: data, height: 0, body: null };
}

function hide(page) {
	page.body?.remove();
	page.body = null;
}
