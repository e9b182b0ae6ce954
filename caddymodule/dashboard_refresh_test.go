package caddymodule_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// comeBack has the browser say that somebody looks at the page again.
func (d *dashboard) comeBack() {
	d.t.Helper()
	d.eval(`document.dispatchEvent(new Event("visibilitychange"));`)
}

// urls waits until the list has webhooks with these paths, in this order.
func (d *dashboard) urls(paths ...string) {
	d.t.Helper()
	for i, path := range paths {
		paths[i] = d.endpoint(path)
	}
	d.until(`[...document.querySelectorAll("#webhook-list h3")].map((each) => each.textContent).join(" ") === ` + quote(strings.Join(paths, " ")))
}

// testRefresh has others change webhooks while somebody looks at the list, and works in it.
func testRefresh(t *testing.T, d *dashboard) {
	first, second, third := d.subscribe("/first"), d.subscribe("/second"), d.subscribe("/third")
	d.visit("")
	d.urls("/first", "/second", "/third")
	d.pressIn(1, testButton)
	d.sees("success 200")
	d.eval(`document.querySelectorAll("#webhook-list li")[1].querySelector("[role=switch]").focus();`)
	d.api(http.MethodPatch, "webhooks/"+first, `{"description":"changed elsewhere"}`, http.StatusOK, nil)
	d.api(http.MethodDelete, "webhooks/"+third, "", http.StatusNoContent, nil)
	d.subscribe("/fourth")
	d.eval(`performance.now = () => 1e9;`) // some time later
	d.comeBack()
	d.urls("/first", "/second", "/fourth")
	d.sees("changed elsewhere")
	d.sees("success 200") // that webhook is the same
	d.until(`document.activeElement === document.querySelectorAll("#webhook-list li")[1].querySelector("[role=switch]")`)
	// Entries stay where the mouse is, whatever happens to those above; one that has gone
	// keeps its room.
	d.size(1000, 400)
	button := `document.querySelectorAll("#webhook-list li")[1].querySelector("[role=switch]").getBoundingClientRect()`
	var x, y float64
	d.value(button+".left + 5", &x)
	d.value(button+".top + 5", &y)
	d.point(x, y)
	under := fmt.Sprintf(`((part) => part?.role + " of " + part?.closest("li")?.dataset.id)(document.elementFromPoint(%f, %f))`, x, y)
	want := d.text(under)
	d.api(http.MethodPatch, "webhooks/"+first, `{"event_types":["`+strings.Join([]string{
		"alert_active", "alert_resolved", "device_created", "device_deleted", "device_updated", "group_created", "group_deleted", "group_updated",
	}, `","`)+`"]}`, http.StatusOK, nil)
	d.eval(`performance.now = () => 2e9;`)
	d.comeBack()
	d.sees("group_updated")
	if got := d.text(under); got != want {
		t.Errorf("the mouse is on %s, and was on %s", got, want)
	}
	d.api(http.MethodDelete, "webhooks/"+second, "", http.StatusNoContent, nil)
	d.eval(`performance.now = () => 3e9;`)
	d.comeBack()
	d.until(`document.querySelectorAll("#webhook-list li")[1].inert`)
	d.run(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, 1, 1))
	d.eval(`performance.now = () => 4e9;`)
	d.comeBack()
	d.urls("/first", "/fourth")
	// The other page's filters know them, too.
	d.visit("#requests")
	d.until(`document.querySelectorAll("#filters [name=webhook_id] option").length === 3`)
	d.subscribe("/fifth")
	d.eval(`performance.now = () => 5e9;`)
	d.comeBack()
	d.until(`document.querySelectorAll("#filters [name=webhook_id] option").length === 4`)
	d.visit("")
	d.urls("/first", "/fourth", "/fifth")
}

// testRefreshLate has a list come that was asked for before a change.
func testRefreshLate(t *testing.T, d *dashboard) {
	d.subscribe("/ok")
	d.visit("")
	d.urls("/ok")
	d.eval(`const real = window.fetch;
		window.late = new Promise((held) => {
			window.fetch = async (path, ...options) => {
				const answer = await real(path, ...options);
				if (path === "api/webhooks") {
					await new Promise((release) => held({ release }));
				}
				return answer;
			};
		});
		performance.now = () => 1e9;`)
	d.comeBack()
	d.eval(`window.answer = await late;`)
	d.click("switch", "Enabled")
	d.sees("Disabled. Pending deliveries wait until you enable it. Events emitted in the meantime are not delivered to it.")
	d.screenshot("webhook disabled")
	d.eval(`answer.release(); await new Promise((after) => { setTimeout(after, 100); });`)
	if d.text(`document.querySelector("#webhook-list [role=switch]").checked`) != "false" {
		t.Error("the list is older than what was done")
	}
	d.sees("new events are not delivered")
}

// testLongTexts has a webhook whose texts are as long as they may be.
func testLongTexts(t *testing.T, d *dashboard) {
	url := d.endpoint("/" + strings.Repeat("long/", 400))
	d.api(http.MethodPost, "webhooks", fmt.Sprintf(`{"url":%q,"description":%q}`, url, strings.Repeat("word ", 200)), http.StatusCreated, nil)
	d.emit("device_created", 1)
	d.logs("", 1)
	for _, width := range []int64{1280, 375} {
		d.size(width, 900)
		d.visit("#webhooks")
		d.until(`document.querySelector("#webhook-list li").textContent.includes("long/long/")`)
		low := func(what string, most int) {
			t.Helper()
			if height := d.text(fmt.Sprintf(`((height) => height > %d ? height : "")(document.querySelector(%s).offsetHeight)`, most, quote(what))); height != "" {
				t.Errorf("%s is %s pixels high in a window of %d", what, height, width)
			}
		}
		low("#webhook-list li", 400)
		d.screenshot(fmt.Sprintf("long texts in webhooks %d", width))
		d.click("button", "Delete")
		low("#remove", 600)
		d.click("button", "Cancel")
		d.visit("#requests")
		d.openNewest()
		low("#requests tbody tr", 120)
		low("#detail dl", 500)
		if title := d.text(`document.querySelector("#requests tbody .open").title`); title != url {
			t.Errorf("the row's title is %q", title)
		}
		d.screenshot(fmt.Sprintf("long texts in requests %d", width))
		d.click("button", "Show all")
		d.until(`document.querySelector("#detail dl").offsetHeight > 600`)
		if out := d.text(sticksOut); out != "" {
			t.Errorf("%d pixels wide: %s", width, out)
		}
		d.click("button", "Show all")
		low("#detail dl", 500)
	}
}
