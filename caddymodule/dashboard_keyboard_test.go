package caddymodule_test

import (
	"net/http"
	"testing"
)

// testKeyboard adds a webhook, tests it, finds its request in the log and runs it
// again, without a mouse.
func testKeyboard(t *testing.T, d *dashboard) {
	d.answer("/in", http.StatusServiceUnavailable, "later, please")
	d.visit("")
	d.sees("No webhooks yet")
	d.tabTo("Webhooks")
	d.tabTo("Add webhook")
	d.press("Enter")
	d.until(`document.getElementById("webhook-form").open`)
	if focused := d.focused(); focused != "URL" {
		t.Fatalf("the focus is on %q", focused)
	}
	for _, character := range d.endpoint("/in") {
		d.press(string(character))
	}
	d.tabTo("Send all event types")
	d.press("ArrowDown")
	d.tabTo("device_created")
	d.press("Space")
	d.press("Enter")
	d.sees("Webhook added.")
	d.tabTo("Enabled")
	d.tabTo("Send test")
	d.press("Enter")
	d.sees("failed 503")
	for range 10 { // back to the tabs
		if d.focused() == "Webhooks" {
			break
		}
		d.run(shiftTab)
	}
	d.press("ArrowRight")
	if focused := d.focused(); focused != "Requests" {
		t.Fatalf("the focus is on %q", focused)
	}
	id := d.webhooks()[0].ID
	for range 2 {
		d.api(http.MethodPost, "webhooks/"+id+"/test", "", http.StatusOK, nil)
	}
	d.rows(3)
	d.tabTo(d.endpoint("/in"))
	d.press("End", "ArrowUp")
	d.until(`document.querySelectorAll("#requests tbody tr")[1].contains(document.activeElement)`)
	d.press("Space")
	d.sees("1 request selected")
	d.press("Home", "Enter")
	d.until(`document.querySelector("#detail dl")`)
	d.tabTo("Re-run request")
	d.press("Enter")
	d.until(`document.getElementById("rerun-result").innerText.includes("failed 503")`)
	d.press("Escape")
	d.until(`!document.getElementById("detail").open`)
	// The list has been read again meanwhile: another row may have taken the place
	// of the one that was opened.
	eventually(t, "the focus to be in the list again", func() bool { return d.focused() == d.endpoint("/in") })
}
