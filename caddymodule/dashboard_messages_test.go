package caddymodule_test

import (
	"net/http"
	"testing"
)

// testMessages checks that messages of the page go when they are no longer true.
func testMessages(_ *testing.T, d *dashboard) {
	d.answer("/in", http.StatusServiceUnavailable, "later, please")
	d.subscribe("/in")
	d.visit("")
	d.pressIn(0, testButton)
	d.sees("failed 503")
	const result = `document.querySelector("#webhook-list .result")`
	// The result of a test goes when the webhook changes.
	d.pressIn(0, editButton)
	d.fill("textbox", "Description", "another one")
	d.click("button", "Save webhook")
	d.sees("Webhook saved.")
	d.saysNothing("after a change", result)
	// What was done goes when something else is done.
	d.eval(`document.querySelector("h1").click();`)
	d.saysNothing("after a click", `document.getElementById("said")`)
	// A failure goes when Caddy answers again.
	d.meddle()
	end := d.rule("^PATCH", http.StatusServiceUnavailable)
	d.pressIn(0, "[role=switch]")
	d.until(result + `.textContent === "Meddled with."`)
	end()
	d.until(`document.getElementById("connection").hidden`)
	d.saysNothing("connected again", result)
	d.mendForms()
	// The reason why re-runs have stopped goes when they go on.
	d.visit("#requests")
	d.click("button", "Re-run all matching failures…")
	d.sees("1 request will be sent again.")
	end = d.rule("rerun$", http.StatusServiceUnavailable)
	d.click("button", "Re-run")
	d.until(`document.querySelector("#bulk .explained").textContent === "Meddled with."`)
	end()
	d.click("button", "Continue")
	d.sees("1 of 1 sent")
	d.saysNothing("gone on", `document.querySelector("#bulk .explained")`)
}

// mendForms makes mistakes in forms. The messages about them go when the forms change.
func (d *dashboard) mendForms() {
	d.t.Helper()
	wrong := func(of string) string { return `document.querySelector("#webhook-form [data-for='` + of + `']")` }
	d.pressIn(0, editButton)
	d.click("radio", "Select types to send")
	d.press("Enter")
	d.until(wrong("event_types") + `.textContent`)
	d.click("checkbox", "device_created")
	d.saysNothing("with a type", wrong("event_types"))
	d.press("Escape")
	d.until(wrong("") + `.textContent`)
	d.fill("textbox", "Description", "the same")
	d.saysNothing("after typing", wrong(""))
	d.click("button", "Cancel")
	d.click("button", "Delete")
	d.press("Enter")
	d.until(`document.querySelector("#remove .error").textContent`)
	d.press("x")
	d.saysNothing("after typing", `document.querySelector("#remove .error")`)
	d.click("button", "Cancel")
}

// saysNothing checks that a message, a JavaScript expression, is empty.
func (d *dashboard) saysNothing(when, message string) {
	d.t.Helper()
	if text := d.text(message + ".textContent"); text != "" {
		d.t.Errorf("%s, the page says %q", when, text)
	}
}
