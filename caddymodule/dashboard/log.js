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
	async restart() {
		const run = ++this.#run;
		this.#reading = true;
		this.#problem = null;
		this.#tell();
		try {
			const page = await this.#read(null);
			if (run === this.#run) {
				this.#focused = this.#table.contains(document.activeElement);
				this.#pages.forEach(hide);
				this.#pages = [newPage(null, page)];
			}
		} catch (problem) {
			if (run === this.#run) {
				this.#problem = problem;
			}
		}
		this.#ended(run);
	}

	// again reads what could not be read.
	again() {
		if (this.#problem === null) {
			return;
		}
		if (this.#pages.length === 0) {
			this.restart();
			return;
		}
		this.#problem = null;
		this.#plan();
	}

	// clear forgets the list, for another one takes its place.
	clear() {
		this.#run++;
		this.#pages.forEach(hide);
		this.#pages = [];
		this.#reading = false;
		this.#problem = null;
	}

	// rows are those in the document.
	rows() {
		return [...this.#table.querySelectorAll("tbody > tr")];
	}

	#ended(run) {
		if (run === this.#run) {
			this.#reading = false;
			this.#tell();
			this.#look();
		}
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
		this.#measure();
		const top = -this.#frame.getBoundingClientRect().top;
		const height = window.innerHeight;
		const [first, last] = this.#between(top - near * height, top + (1 + near) * height);
		this.#show(first, last);
		const end = this.#pages.reduce((sum, page) => sum + page.height, 0);
		if (this.#pages.at(-1).next !== null && end < top + (1 + ahead) * height) {
			this.#more();
		}
	}

	#measure() {
		for (const page of this.#pages) {
			if (page.body) {
				page.height = page.body.offsetHeight;
			}
		}
	}

	// between finds the first and last page that reach into a stretch of the list.
	#between(from, to) {
		let first = 0;
		let offset = 0;
		while (first < this.#pages.length - 1 && offset + this.#pages[first].height < from) {
			offset += this.#pages[first++].height;
		}
		let last = first;
		while (last < this.#pages.length - 1 && offset + this.#pages[last].height < to) {
			offset += this.#pages[last++].height;
		}
		return [first, last];
	}

	// show has these pages in the document and no others.
	#show(first, last) {
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
				this.#readAgain(page);
				above += page.height;
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

	// more reads the page after the last one.
	async #more() {
		if (this.#reading || this.#problem) {
			return;
		}
		const run = this.#run;
		this.#reading = true;
		this.#tell();
		try {
			const cursor = this.#pages.at(-1).next;
			const page = await this.#read(cursor);
			if (run === this.#run) {
				this.#pages.push(newPage(cursor, page));
			}
		} catch (problem) {
			if (run === this.#run) {
				this.#problem = problem;
			}
		}
		this.#ended(run);
	}

	async #readAgain(page) {
		if (this.#reading || this.#problem) {
			return;
		}
		const run = this.#run;
		this.#reading = true;
		try {
			page.rows = (await this.#read(page.cursor)).data;
		} catch (problem) {
			this.#problem = problem;
		}
		this.#ended(run);
	}
}

function newPage(cursor, { data, next_cursor: next }) {
	return { cursor, next, rows: data, height: 0, body: null };
}

function hide(page) {
	page.body?.remove();
	page.body = null;
}
