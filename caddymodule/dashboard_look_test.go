package caddymodule_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// states are what the page can show.
func (d *dashboard) states() map[string]func() {
	return map[string]func(){
		"webhooks": func() { d.visit("#webhooks"); d.sees("last ") },
		"webhook form": func() {
			d.visit("#webhooks")
			d.click("button", "Add webhook")
			d.click("button", "Generate")
			d.click("radio", "Select types to send")
		},
		"webhook delete": func() { d.visit("#webhooks"); d.click("button", "Delete"); d.sees("This cannot be undone.") },
		"requests":       func() { d.visit("#requests"); d.sees("No more requests."); d.live("Live"); d.sees("p50 / p99") },
		"requests paused": func() {
			d.visit("#requests?period=hour")
			d.click("button", "Pause")
			d.live("Paused")
			d.until(`document.querySelectorAll("#figures svg")[1].querySelectorAll("g").length === 12`)
		},
		"requests new": func() {
			d.size(640, 400)
			d.visit("#requests")
			d.live("Live")
			d.sees("No more requests.")
			d.eval(`window.scrollTo(0, document.documentElement.scrollHeight)`)
			d.api(http.MethodPost, "webhooks/"+d.webhooks()[0].ID+"/test", "", http.StatusOK, nil)
			d.sees("1 new request")
		},
		"requests none match": func() { d.visit("#requests?event_type=group_created"); d.sees("No requests match") },
		"request": func() {
			d.visit("#requests?status=failed")
			d.openNewest()
			d.sees("Attempt 1/3")
			d.eval(`document.querySelectorAll("#detail details").forEach((details) => { details.open = true; })`)
		},
		"requests selected": func() {
			d.visit("#requests?status=failed")
			d.until(`document.querySelector("#requests tbody input")`)
			d.eval(`document.querySelector("#requests tbody input").click()`)
		},
		"requests run again": func() {
			d.visit("#requests")
			d.click("button", "Re-run all matching failures…")
			d.sees("found.")
		},
	}
}

// fillStates gives the states something to show.
func (d *dashboard) fillStates() {
	d.answer("/fails", http.StatusBadGateway, "<h1>502 Bad Gateway</h1>\n"+strings.Repeat("upstream-", 60))
	d.api(http.MethodPost, "webhooks", fmt.Sprintf(`{"url":%q,"description":"Inventory of the machines in the cellar","secret":"s"}`,
		d.endpoint("/a/rather/long/path/that/has/to/go/somewhere?with=parameters&and=more")), http.StatusCreated, nil)
	d.api(http.MethodPost, "webhooks", fmt.Sprintf(`{"url":%q,"event_types":["device_created","device_updated","device_deleted"]}`,
		d.endpoint("/fails")), http.StatusCreated, nil)
	d.emit("device_created", 1)
	d.emit("device_deleted", 1)
	d.logs("", 8)
	var off struct{ ID string }
	d.api(http.MethodPost, "webhooks", fmt.Sprintf(`{"url":%q,"event_types":["group_deleted"]}`, d.endpoint("/off")), http.StatusCreated, &off)
	d.failOnce(off.ID, "/off", "group_deleted", 1)
}

// looks are windows to look at the page in.
var looks = []struct {
	width  int64
	zoom   int // of text, in percent
	scheme string
	axe    bool // also has axe look at it
}{
	{1280, 100, "light", true},
	{1920, 100, "light", false},
	{768, 100, "dark", false},
	{640, 200, "light", false},
	{375, 100, "dark", true},
	{320, 100, "light", false},
}

// testLooks looks whether anything sticks out of the page or is cut, from a small
// phone to a wide screen and with text of twice the size, and whether axe finds
// barriers to people with disabilities.
func testLooks(t *testing.T, d *dashboard) {
	axe, err := os.ReadFile("testdata/axe-core/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	d.fillStates()
	for name, show := range d.states() {
		d.size(1280, 900)
		d.run(chromedp.Navigate("about:blank")) // so that the page is loaded anew
		show()
		d.eval(string(axe))
		for _, look := range looks {
			d.size(look.width, 900)
			d.prefer("prefers-color-scheme", look.scheme)
			d.eval(fmt.Sprintf(`document.documentElement.style.fontSize = "%f%%"`, 93.75*float64(look.zoom)/100))
			place := fmt.Sprintf("%s %d %d%% %s", name, look.width, look.zoom, look.scheme)
			if out := d.text(sticksOut); out != "" {
				t.Errorf("%s: %s", place, out)
			}
			if look.axe {
				if found := d.text(axeFinds); found != "" {
					t.Errorf("%s: %s", place, found)
				}
			}
			d.screenshot(place)
		}
	}
}

// axeFinds are the violations that axe finds, once transitions have ended.
const axeFinds = `await (async () => {
	await Promise.all(document.getAnimations().map((animation) => animation.finished));
	const { violations } = await axe.run({ resultTypes: ["violations"] });
	return violations.map(({ id, nodes }) => id + ": " + nodes.map(({ html, failureSummary }) => html.slice(0, 150) + " " + failureSummary).join("; ")).join("\n");
})()`

// sticksOut names elements that reach over the window's sides, or have text that
// they do not show.
const sticksOut = `(() => {
	const seen = (e) => e.checkVisibility() && !e.closest(".offscreen, thead") && e.getClientRects().length > 0;
	const name = (e) => e.tagName + "." + e.className + " " + (e.textContent || e.value || "").slice(0, 40);
	const wide = document.documentElement.scrollWidth > innerWidth ? ["the page is " + document.documentElement.scrollWidth + " px wide"] : [];
	const top = document.querySelector("dialog:modal") ?? document.body;
	const all = [...top.querySelectorAll("*")].filter(seen);
	const out = all.filter((e) => e.getBoundingClientRect().right > innerWidth + 1 || e.getBoundingClientRect().left < -1);
	const cut = all.filter((e) => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && !e.matches("input, select, option, progress")
		&& getComputedStyle(e).display !== "inline");
	return [...wide, ...out.slice(0, 3).map(name), ...cut.slice(0, 3).map((e) => "cut: " + name(e))].join("; ");
})()`
