package caddymodule_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// rows waits until the list has as many rows.
func (d *dashboard) rows(n int) {
	d.t.Helper()
	d.until(fmt.Sprintf(`document.querySelectorAll("#requests tbody tr").length === %d`, n))
}

// live waits until the list is live, or is not for a reason.
func (d *dashboard) live(state string) {
	d.t.Helper()
	d.until(fmt.Sprintf(`document.getElementById("live").textContent === %s`, quote(state)))
}

// shownIDs are the ids of the first rows that the page shows.
func (d *dashboard) shownIDs(n int) string {
	d.t.Helper()
	return d.text(fmt.Sprintf(`[...document.querySelectorAll("#requests tbody .open")].slice(0, %d).map((open) => new URLSearchParams(open.hash.split("?")[1]).get("request")).join("\n")`, n))
}

// loggedIDs are those of the first requests in the log.
func (d *dashboard) loggedIDs(n int) string {
	d.t.Helper()
	var page struct{ Data []struct{ ID string } }
	d.api(http.MethodGet, fmt.Sprintf("requests?limit=%d", n), "", http.StatusOK, &page)
	ids := make([]string, len(page.Data))
	for i, request := range page.Data {
		ids[i] = request.ID
	}
	return strings.Join(ids, "\n")
}

// testLateAnswer changes a filter while the page still asks what it missed before the
// stream began. The answer is of a list that is not shown any more.
func testLateAnswer(t *testing.T, d *dashboard) {
	d.subscribe("/ok")
	d.emit("device_created", 1)
	d.logs("", 1)
	d.visit("#requests?status=failed")
	d.sees("No requests match")
	d.live("Live")
	d.eval(`window.late = new Promise((held) => {
		const real = window.fetch;
		let asked = 0;
		window.fetch = async (...what) => {
			const answer = await real(...what);
			if (what[0].startsWith("api/requests?status=success") && ++asked === 2) {
				await new Promise((release) => held({ release }));
			}
			return answer;
		};
	})`)
	choose := func(status string) {
		d.eval(`const field = document.querySelector("#filters [name=status]");
			field.value = ` + quote(status) + `;
			field.dispatchEvent(new Event("input", { bubbles: true }));`)
	}
	choose("success")
	d.rows(1)
	d.eval(`window.answer = await late;`)
	choose("failed")
	d.sees("No requests match")
	d.eval(`answer.release(); await new Promise((after) => { setTimeout(after, 100); });`)
	if d.text(`document.querySelectorAll("#requests tbody tr").length`) != "0" {
		t.Error("there are rows of the list before")
	}
}

// testLive watches requests come by themselves, but for those that filters leave out,
// and while the page is paused or nobody sees it.
func testLive(t *testing.T, d *dashboard) {
	d.visit("#requests")
	d.sees("No requests yet")
	d.live("Live")
	d.subscribe("/ok")
	d.answer("/fails", http.StatusBadGateway, "")
	fails := d.subscribe("/fails")
	d.emit("device_created", 1)
	d.rows(4)
	d.click("button", "Pause")
	d.live("Paused")
	d.until(`document.getElementById("pause").ariaPressed === "true"`)
	d.screenshot("requests paused")
	d.api(http.MethodDelete, "webhooks/"+fails, "", http.StatusNoContent, nil)
	d.emit("device_created", 2)
	d.logs("status=success", 3)
	d.rows(4)
	d.click("button", "Pause")
	d.live("Live")
	d.rows(6)
	// A window that nobody sees has no connection; what it missed comes later.
	d.eval(`Object.defineProperty(document, "hidden", { value: true, configurable: true }); document.dispatchEvent(new Event("visibilitychange"));`)
	d.live("")
	d.emit("device_created", 1)
	d.logs("status=success", 4)
	d.rows(6)
	d.eval(`delete document.hidden; document.dispatchEvent(new Event("visibilitychange"));`)
	d.rows(7)
	// Filters leave out what they do in the list. What comes after it tells that it
	// has been passed over.
	d.visit("#requests?status=success&event_type=group_created")
	d.sees("No requests match")
	d.live("Live")
	d.emit("device_deleted", 1)
	d.logs("", 5)
	d.emit("group_created", 1)
	d.rows(1)
	d.visit("#requests?until=2020-01-01T00:00:00Z")
	d.sees("No requests match")
	d.live("Live")
	d.emit("group_deleted", 1)
	d.seesFigure("Requests", "10") // those of the deleted webhook count
	d.rows(0)
	// Attempts that others make appear in the panel.
	d.visit("#requests")
	d.openNewest()
	d.sees("Attempt 1/3")
	var page struct{ Data []struct{ ID string } }
	d.api(http.MethodGet, "requests?limit=1", "", http.StatusOK, &page)
	d.api(http.MethodPost, "requests/"+page.Data[0].ID+"/rerun", "", http.StatusOK, nil)
	d.until(`document.querySelector("#detail ol").innerText.includes("rerun")`)
	if n := d.text(`document.querySelectorAll("#detail ol li").length`); n != "2" {
		t.Errorf("%s attempts are shown", n)
	}
}

// testLiveReader reads further down while requests come: nothing moves, and a button
// leads to what is new. So it is for who moves in the list by the keyboard.
func testLiveReader(t *testing.T, d *dashboard) {
	d.subscribe("/ok")
	d.emit("device_created", 60)
	d.logs("", 60)
	d.size(1000, 500)
	d.visit("#requests")
	d.live("Live")
	d.until(`document.querySelector("#figures svg") && document.querySelectorAll("#requests tbody tr").length >= 50`)
	d.eval(`window.scrollTo(0, 1200)`)
	inSight := func() string {
		t.Helper()
		return d.text(`(() => {
			const row = document.elementFromPoint(300, 250).closest("tr");
			return row.querySelector(".open").hash + " at " + row.getBoundingClientRect().top;
		})()`)
	}
	before := inSight()
	d.emit("device_updated", 3)
	d.sees("3 new requests")
	if after := inSight(); after != before {
		t.Errorf("%s has become %s", before, after)
	}
	d.screenshot("requests new")
	d.click("button", "3 new requests")
	d.until(`document.getElementById("newer").hidden`)
	d.until(`document.querySelector("#requests tbody .type").textContent === "device_updated"`)
	d.until(`document.querySelector("#requests thead").getBoundingClientRect().top >= 0`)
	// The list takes them in, too, when one scrolls back.
	d.eval(`window.scrollTo(0, 1200)`)
	d.emit("device_deleted", 1)
	d.sees("1 new request")
	d.eval(`window.scrollTo(0, 0)`)
	d.until(`document.querySelector("#requests tbody .type").textContent === "device_deleted"`)
	// The keyboard.
	d.tabTo(d.endpoint("/ok"))
	d.press("ArrowDown")
	focused := d.text(`document.activeElement.hash`)
	d.emit("group_created", 1)
	d.sees("1 new request")
	if now := d.text(`document.activeElement.hash`); now != focused {
		t.Errorf("the focus went from %s to %s", focused, now)
	}
	d.run(shiftTab)
	d.until(`document.querySelector("#requests tbody .type").textContent === "group_created"`)
}

// testLiveBurst has many requests come at once: the page shows the newest in the end,
// and has few rows all the time.
func testLiveBurst(t *testing.T, d *dashboard) {
	d.visit("#requests")
	d.sees("No requests yet")
	d.live("Live")
	d.subscribe("/ok")
	d.eval(`window.most = 0; new MutationObserver(() => {
		window.most = Math.max(window.most, document.querySelectorAll("#requests tbody tr").length);
	}).observe(document.querySelector("#requests table"), { childList: true, subtree: true });`)
	for range 4 {
		d.emit("device_created", 500)
	}
	d.seesFigure("Requests", "2,000")
	d.emit("device_updated", 1)
	d.until(`document.querySelector("#requests tbody .type").textContent === "device_updated"`)
	eventually(t, "the newest requests to be shown", func() bool { return d.loggedIDs(50) == d.shownIDs(50) })
	if most := d.text(`window.most > 1000 || window.most < 50 ? window.most : ""`); most != "" {
		t.Errorf("there were %s rows", most)
	}
}

// testLiveRefused takes the stream away from the page, which says why, and goes on
// when it can be had again.
func testLiveRefused(t *testing.T, d *dashboard) {
	const streams = 64 // that a tenant may have
	ends := make([]func(), 0, streams)
	end := func() {
		for _, each := range ends {
			each()
		}
		ends = nil
	}
	t.Cleanup(end)
	for range streams {
		r, err := d.site.client.Get(d.at("hooks/api/requests/stream")) //nolint:bodyclose // end closes it
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, func() { _ = r.Body.Close() }) // it need not have been read to the end
	}
	d.subscribe("/ok")
	d.visit("#requests")
	d.sees("No requests yet")
	d.until(`/too many/.test(document.getElementById("live").textContent)`)
	d.screenshot("requests not live")
	d.emit("device_created", 1)
	d.logs("", 1)
	d.click("button", "Refresh")
	d.rows(1)
	end()
	d.live("Live")
	d.emit("device_created", 1)
	d.rows(2)
}

// testLiveSignedOut asks for the stream as nobody.
func testLiveSignedOut(_ *testing.T, d *dashboard) {
	as := d.users()
	as(network.Headers{"X-User": "alice"})
	d.run(chromedp.Navigate(d.at("signed/#requests")))
	d.sees("No requests yet")
	d.live("Live")
	as(network.Headers{})
	d.click("button", "Pause")
	d.live("Paused")
	d.click("button", "Pause")
	d.sees("Sign in again in another tab, then try again here")
	as(network.Headers{"X-User": "alice"})
	d.click("button", "Try again")
	d.live("Live")
	d.subscribe("/ok")
	d.emit("device_created", 1)
	d.rows(1)
}
