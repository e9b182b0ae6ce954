package caddymodule_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// meddle has rules for what the page asks of Caddy, by patterns of such as
// "GET api/webhooks".
func (d *dashboard) meddle() {
	d.t.Helper()
	d.eval(`const real = window.fetch;
		const rules = new Set();
		window.fetch = async (path, options) => {
			const what = (options?.method ?? "GET") + " " + path;
			const rule = [...rules].find(({ pattern }) => pattern.test(what));
			if (!rule) {
				return real(path, options);
			}
			rule.calls++;
			if (rule.status) {
				return new Response(JSON.stringify({ detail: "Meddled with." }), { status: rule.status });
			}
			await rule.ended;
			return real(path, options);
		};
		window.rule = (pattern, status) => {
			const made = { pattern, status, calls: 0 };
			made.ended = new Promise((end) => { made.end = () => { rules.delete(made); end(); }; });
			rules.add(made);
			return made;
		};`)
}

// hold has calls wait, until end is called.
func (d *dashboard) hold(pattern string) (end func()) {
	return d.rule(pattern, 0)
}

// rule has calls wait, or be answered with a status.
func (d *dashboard) rule(pattern string, status int) (end func()) {
	d.t.Helper()
	d.eval(fmt.Sprintf("window.ruled = rule(/%s/, %d);", pattern, status))
	return func() {
		d.t.Helper()
		d.eval("ruled.end();")
	}
}

// asked waits until a rule has met so many calls.
func (d *dashboard) asked(n int) {
	d.t.Helper()
	d.until(fmt.Sprintf("ruled.calls >= %d", n))
}

// pressIn clicks on a button of a webhook's entry.
func (d *dashboard) pressIn(entry int, selector string) {
	d.t.Helper()
	d.until(fmt.Sprintf(`document.querySelectorAll("#webhook-list li")[%d]`, entry))
	d.eval(fmt.Sprintf(`document.querySelectorAll("#webhook-list li")[%d].querySelector(%s).click();`, entry, quote(selector)))
}

const (
	testButton = ".actions button"
	editButton = ".actions button:nth-child(2)"
)

// testLateSave opens another form before Caddy has answered what was saved in the first.
func testLateSave(t *testing.T, d *dashboard) {
	d.subscribe("/a")
	d.subscribe("/b")
	d.visit("")
	d.pressIn(0, editButton)
	d.meddle()
	d.fill("textbox", "Description", "the first")
	release := d.hold("^PATCH")
	d.click("button", "Save webhook")
	d.asked(1)
	d.eval(`document.querySelector("#webhook-form .cancel").click();
		document.querySelectorAll("#webhook-list li")[1].querySelector(` + quote(editButton) + `).click();`) // before the first has told that it is closed
	d.fill("textbox", "Description", "the second")
	release()
	d.until(`document.querySelector("#webhook-list").textContent.includes("the first")`)
	if typed := d.text(`document.getElementById("webhook-form").open && document.getElementById("webhook-description").value`); typed != "the second" {
		t.Errorf("the second form says %q", typed)
	}
	d.click("button", "Save webhook")
	d.until(`document.querySelector("#webhook-list").textContent.includes("the second")`)
	urls := d.text(`[...document.querySelectorAll("#webhook-list h3")].map((each) => each.textContent).join(" ")`)
	if want := d.endpoint("/a") + " " + d.endpoint("/b"); urls != want {
		t.Errorf("the list has %s, want %s", urls, want)
	}
}

// testLateResults changes a webhook while something else is asked for it.
func testLateResults(t *testing.T, d *dashboard) {
	d.subscribe("/ok")
	d.visit("")
	d.until(`document.querySelector("#webhook-list li")`)
	d.meddle()
	release := d.hold("test$")
	d.pressIn(0, testButton)
	d.asked(1)
	d.click("switch", "Enabled")
	d.sees("Disabled. Pending deliveries wait")
	d.sees("Sending a test event…")
	d.click("switch", "Enabled")
	d.sees("Enabled. Deliveries that waited are sent now.")
	release()
	d.sees("success 200")
	// The second change of the switch waits for the first, and is dropped.
	release = d.hold("^PATCH")
	d.pressIn(0, "[role=switch]")
	d.pressIn(0, "[role=switch]")
	release()
	d.sees("Disabled. Pending deliveries wait")
	checked := func(want string) {
		t.Helper()
		if got := d.text(`document.querySelector("#webhook-list [role=switch]").checked`); got != want || fmt.Sprint(d.webhooks()[0].Enabled) != want {
			t.Errorf("the switch says %s, want %s", got, want)
		}
	}
	checked("false")
	release = d.rule("^PATCH", http.StatusConflict)
	d.pressIn(0, "[role=switch]")
	d.sees("Meddled with.")
	checked("false")
	release()
}

// testBulkStopped gives up re-runs under way, and begins others.
func testBulkStopped(_ *testing.T, d *dashboard) {
	const deliveries = 6
	d.answer("/in", http.StatusServiceUnavailable, "later, please")
	d.subscribe("/in")
	d.emit("device_created", deliveries)
	d.logs("status=failed", 3*deliveries)
	d.visit("#requests")
	d.rows(3 * deliveries)
	d.meddle()
	d.click("button", "Re-run all matching failures…")
	d.sees(fmt.Sprintf("%d requests will be sent again.", deliveries))
	release := d.hold("rerun$")
	d.click("button", "Re-run")
	d.asked(4)
	d.press("Escape")
	d.until(`!document.getElementById("bulk").open`)
	d.eval(`document.querySelector("#requests tbody input").click()`)
	d.click("button", "Re-run selected")
	d.sees("1 request will be sent again.")
	release()
	d.logs("", 3*deliveries+4)
	d.eval(`await new Promise((after) => { setTimeout(after, 200); });`)
	d.logs("", 3*deliveries+4)
	d.sees("1 request will be sent again.")
	d.sees("1 request selected")
	// Who closes it comes back to the list.
	d.click("button", "Re-run")
	d.sees("1 of 1 sent")
	d.click("button", "Close")
	d.until(`document.activeElement.closest("#requests tbody")`)
}

// testFailedAnswers has single calls fail, while Caddy and its store are well.
func testFailedAnswers(t *testing.T, d *dashboard) {
	webhook := d.subscribe("/ok")
	d.api(http.MethodPost, "webhooks/"+webhook+"/test", "", http.StatusOK, nil)
	d.visit("#requests")
	d.openNewest()
	d.until(`document.querySelectorAll("#detail ol li").length === 1`)
	d.meddle()
	// What is known of a delivery stays.
	end := d.rule("^GET api.(events|requests.limit)", http.StatusServiceUnavailable)
	d.click("button", "Re-run request")
	d.until(`document.getElementById("rerun-result").innerText.includes("success 200")`)
	d.asked(4)
	if n := d.text(`document.querySelectorAll("#detail ol li").length`); n != "1" {
		t.Errorf("%s attempts are shown", n)
	}
	end()
	d.until(`document.querySelectorAll("#detail ol li").length === 2`)
	// Who is asked in vain is not asked without a pause.
	end = d.rule("^GET api.webhooks$", http.StatusServiceUnavailable)
	d.click("tab", "Webhooks")
	d.asked(2)
	d.eval(`ruled.calls = 0;`)
	time.Sleep(2 * time.Second)
	if calls := d.text(`ruled.calls > 10 ? ruled.calls : ""`); calls != "" {
		t.Errorf("there were %s calls within two seconds", calls)
	}
	if d.text(`document.querySelector(".add").checkVisibility()`) == "true" {
		t.Error("a webhook could be added, though its types are not known")
	}
	end()
	d.until(`document.querySelector("#webhook-list li").checkVisibility()`)
	d.until(`document.querySelector(".add").checkVisibility()`)
}

// testFailedList has the log not be read when it has to be: it is once it can.
func testFailedList(t *testing.T, d *dashboard) {
	d.subscribe("/ok")
	d.emit("device_created", 1)
	d.visit("#requests")
	d.rows(1)
	d.live("Live")
	d.meddle()
	end := d.rule("^GET api.requests.limit=50", http.StatusServiceUnavailable)
	x, _ := d.pointAt(0) // so that all are put in at once, also on a busy machine
	d.emit("device_updated", 80)
	d.sees("80 new requests")
	d.point(x, 5)
	d.asked(2)
	d.screenshot("requests not read again")
	end()
	eventually(t, "all requests to be shown", func() bool { return d.loggedIDs(50) == d.shownIDs(50) })
}

// testPanelLeft leaves the requests while one of them is open.
func testPanelLeft(_ *testing.T, d *dashboard) {
	add := func() {
		d.t.Helper()
		d.click("button", "Add webhook")
		d.until(`document.getElementById("webhook-form").open`)
		d.click("button", "Cancel")
	}
	d.subscribe("/ok")
	d.size(800, 600)
	d.visit("")
	d.pressIn(0, testButton)
	d.click("link", "Show request")
	d.until(`document.getElementById("detail").matches(":modal")`)
	d.eval("navigator.clipboard.writeText = async () => {};")
	d.click("button", "Copy full URL")
	d.until(`document.querySelector("#detail:modal #said").textContent === "Copied."`)
	d.eval("history.back()")
	add()
	d.size(1280, 900)
	d.click("tab", "Requests")
	d.until(`document.querySelector("#detail dl")?.checkVisibility()`)
	d.click("tab", "Webhooks")
	d.size(800, 600)
	add()
	d.click("tab", "Requests")
	d.until(`document.querySelector("#detail dl")?.checkVisibility()`)
}

// testPanelLinks follows the links in the panel: what is shown beside it stays.
func testPanelLinks(t *testing.T, d *dashboard) {
	d.answer("/in", http.StatusBadGateway, "<html>\r\n<p>away</p>\r\n</html>\rno line")
	d.subscribe("/in")
	d.emit("device_created", 1)
	d.logs("status=failed", 3)
	d.visit("#requests?status=failed&period=week")
	d.rows(3)
	// Back does not open what was closed.
	d.openNewest()
	d.click("button", "Close")
	d.until(`!document.getElementById("detail").open`)
	d.eval(`await new Promise((gone) => { addEventListener("popstate", gone, { once: true }); history.back(); });`)
	if d.text(`document.getElementById("detail").open`) == "true" {
		t.Error("Back opens what was closed")
	}
	d.openNewest()
	d.click("link", "Attempt 1/3")
	d.until(`document.querySelector("#detail ol b")?.textContent === "Attempt 1/3"`)
	for _, filter := range []string{"status=failed", "period=week"} {
		if at := d.text("location.hash"); !strings.Contains(at, filter) {
			t.Errorf("%s is lost in %s", filter, at)
		}
	}
	if body := d.text(`document.querySelector("#detail pre").innerText`); strings.Count(body, "U+000D") != 1 {
		t.Errorf("the body is shown as %q", body)
	}
	if current := d.text(`document.querySelectorAll("#requests tbody [aria-current=true]").length`); current != "1" {
		t.Errorf("%s rows are said to be open", current)
	}
}
