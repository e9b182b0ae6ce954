package caddymodule_test

import (
	"net/http"
	"testing"
)

// testMessages looks whether what the page says goes when it is true no more.
func testMessages(t *testing.T, d *dashboard) {
	d.answer("/in", http.StatusServiceUnavailable, "later, please")
	d.subscribe("/in")
	d.visit("")
	d.pressIn(0, testButton)
	d.sees("failed 503")
	const result = `document.querySelector("#webhook-list .result")`
	gone := func(what, message string) {
		t.Helper()
		if text := d.text(message + ".textContent"); text != "" {
			t.Errorf("%s, the page says %q", what, text)
		}
	}
	// What a test gave, when the webhook is another one.
	d.pressIn(0, editButton)
	d.fill("textbox", "Description", "another one")
	d.click("button", "Save webhook")
	d.sees("Webhook saved.")
	gone("after a change", result)
	// What was done, when something else is.
	d.eval(`document.querySelector("h1").click();`)
	gone("after a click", `document.getElementById("said")`)
	// What failed, when it works again.
	d.meddle()
	end := d.rule("^PATCH", http.StatusServiceUnavailable)
	d.pressIn(0, "[role=switch]")
	d.until(result + `.textContent === "Meddled with."`)
	end()
	d.until(`document.getElementById("connection").hidden`)
	gone("connected again", result)
	// What was wrong with a form, when it has changed.
	wrong := func(of string) string { return `document.querySelector("#webhook-form [data-for='` + of + `']")` }
	d.pressIn(0, editButton)
	d.click("radio", "Select types to send")
	d.press("Enter")
	d.until(wrong("event_types") + `.textContent`)
	d.click("checkbox", "device_created")
	gone("with a type", wrong("event_types"))
	d.press("Escape")
	d.until(wrong("") + `.textContent`)
	d.fill("textbox", "Description", "the same")
	gone("after typing", wrong(""))
	d.click("button", "Cancel")
	d.click("button", "Delete")
	d.press("Enter")
	d.until(`document.querySelector("#remove .error").textContent`)
	d.press("x")
	gone("after typing", `document.querySelector("#remove .error")`)
	d.click("button", "Cancel")
	// Why many re-runs have stopped, when they go on.
	d.visit("#requests")
	d.click("button", "Re-run all failed that match…")
	d.sees("1 request will be sent again.")
	end = d.rule("rerun$", http.StatusServiceUnavailable)
	d.click("button", "Re-run")
	d.until(`document.querySelector("#bulk .explained").textContent === "Meddled with."`)
	end()
	d.click("button", "Go on")
	d.sees("1 of 1 sent")
	gone("gone on", `document.querySelector("#bulk .explained")`)
}
