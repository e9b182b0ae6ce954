package caddymodule_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// point moves the mouse to a place in the window.
func (d *dashboard) point(x, y float64) {
	d.t.Helper()
	d.run(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x, y))
}

// pointAt moves the mouse onto a row, and returns where it is then.
func (d *dashboard) pointAt(row int) (x, y float64) {
	d.t.Helper()
	d.until(fmt.Sprintf(`document.querySelectorAll("#requests tbody tr")[%d]`, row))
	d.value(fmt.Sprintf(`document.querySelectorAll("#requests tbody tr")[%d].getBoundingClientRect().left + 300`, row), &x)
	d.value(fmt.Sprintf(`document.querySelectorAll("#requests tbody tr")[%d].getBoundingClientRect().top + 15`, row), &y)
	d.point(x, y)
	return x, y
}

// under is the id of the request whose row is at a place in the window.
func (d *dashboard) under(x, y float64) string {
	d.t.Helper()
	return d.text(fmt.Sprintf(`document.elementFromPoint(%f, %f).closest("tr")?.request.id`, x, y))
}

// testLivePointer points at a row while requests come: it stays where it is, and a click
// opens it.
func testLivePointer(t *testing.T, d *dashboard) {
	d.subscribe("/ok")
	d.emit("device_created", 3)
	d.visit("#requests")
	d.rows(3)
	d.live("Live")
	d.until(`document.querySelector("#figures svg")`)
	x, y := d.pointAt(1)
	want := d.under(x, y)
	stays := func(when string) {
		t.Helper()
		if got := d.under(x, y); got != want {
			t.Errorf("%s, the pointer is on %s, and was on %s", when, got, want)
		}
	}
	d.emit("device_updated", 2)
	d.sees("2 new requests")
	stays("with new requests")
	d.screenshot("requests pointed at")
	d.point(x, 5)
	d.rows(5)
	// So it is with more at once than are put in one by one.
	x, y = d.pointAt(1)
	want = d.under(x, y)
	d.emit("device_deleted", 60)
	d.sees("60 new requests")
	d.seesFigure("Requests", "65") // read later
	stays("with many requests")
	d.point(x, 5)
	d.until(`document.querySelector("#requests tbody .type").textContent === "device_deleted"`)
	// So it is when the list was asked for already: when the pointer left, for all at once.
	d.pointAt(1)
	d.emit("group_created", 60)
	d.sees("60 new requests")
	d.meddle()
	release := d.hold("^GET api.requests.limit=50")
	d.point(x, 5)
	d.asked(1)
	x, y = d.pointAt(1)
	want = d.under(x, y)
	release()
	d.sees("60 new requests")
	stays("with another list")
	d.point(x, 5)
	d.until(`document.querySelector("#requests tbody .type").textContent === "group_created"`)
	// What appears above the list does not move it either.
	x, y = d.pointAt(1)
	want = d.under(x, y)
	end := d.rule("^GET api.stats", http.StatusServiceUnavailable)
	d.emit("group_updated", 1)
	d.sees("Meddled with. Trying again…")
	stays("without a connection")
	end()
	d.until(`document.getElementById("connection").hidden`)
	stays("with a connection again")
	d.sees("1 new request")
	d.run(chromedp.MouseClickXY(x, y))
	d.until(`document.querySelector("#detail dl")`)
	if got := d.text(`new URLSearchParams(location.hash.split("?")[1]).get("request")`); got != want {
		t.Errorf("the click opened %s, want %s", got, want)
	}
}

// testPanelPlace opens and closes requests by the mouse: their rows stay where they are,
// and the panel is all in sight.
func testPanelPlace(t *testing.T, d *dashboard) {
	const rows = 50
	d.subscribe("/ok")
	d.emit("device_created", rows)
	d.logs("", rows)
	for _, c := range []struct {
		width, height int64
		row           int
	}{{1280, 900, 0}, {1280, 900, 9}, {1280, 900, 20}, {1100, 700, 34}, {1920, 900, 4}, {1920, 1000, rows - 1}, {1280, 600, 1}} {
		place := fmt.Sprintf("row %d of %d×%d", c.row, c.width, c.height)
		d.size(c.width, c.height)
		d.run(chromedp.Navigate("about:blank"))
		d.visit("#requests")
		d.until(fmt.Sprintf(`document.querySelectorAll("#requests tbody tr").length === %d && document.querySelector("#figures svg")`, rows))
		for range 5 { // others on the way become higher as they are laid out
			d.eval(fmt.Sprintf(`document.querySelectorAll("#requests tbody tr")[%d].scrollIntoView({ block: "nearest" });`, c.row) + settled)
		}
		x, y := d.pointAt(c.row)
		want := d.under(x, y)
		d.run(chromedp.MouseClickXY(x, y))
		d.until(`document.querySelector("#detail ol li")`)
		d.eval(settled)
		if got := d.under(x, y); got != want {
			t.Errorf("%s: the pointer is on %s, and was on %s", place, got, want)
		}
		top := d.text(fmt.Sprintf(`document.elementFromPoint(%f, %f).closest("tr")?.getBoundingClientRect().top`, x, y))
		if out := d.text(`(({ top, bottom }) => top < 0 || bottom > innerHeight ? top + " to " + bottom : "")(document.getElementById("detail").getBoundingClientRect())`); out != "" {
			t.Errorf("%s: the panel is at %s", place, out)
		}
		d.screenshot("panel " + place)
		d.press("Escape")
		d.until(`!document.querySelector("#detail").open`)
		d.eval(settled)
		if moved := d.text(`((moved) => Math.abs(moved) > 1 ? moved : "")([...document.querySelectorAll("#requests tbody tr")].find(({ request }) => request.id === "` + want + `").getBoundingClientRect().top - ` + top + `)`); moved != "" {
			t.Errorf("%s: closing moves the row by %s pixels", place, moved)
		}
	}
}

// settled waits until rows that have come into sight have been laid out.
const settled = `for (let i = 0; i < 5; i++) {
	await new Promise((next) => { requestAnimationFrame(next); });
}`
