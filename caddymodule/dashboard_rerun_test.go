package caddymodule_test

import (
	"net/http"
	"testing"
)

// openRow opens the request of a row.
func (d *dashboard) openRow(row string) {
	d.t.Helper()
	d.eval(`document.querySelectorAll("#requests tbody .open")[` + row + `].click();`)
	d.until(`document.querySelector("#detail dl")`)
}

// seesResult waits until the panel says something of the re-run, "" for nothing.
func (d *dashboard) seesResult(want string) {
	d.t.Helper()
	d.until(`document.getElementById("rerun-result").innerText.startsWith(` + quote(want) + `)`)
	if want == "" {
		d.until(`document.getElementById("rerun-result").innerText === ""`)
	}
}

// testRerunLeft looks at other requests while one is run again.
func testRerunLeft(t *testing.T, d *dashboard) {
	webhook := d.subscribe("/in")
	for range 2 {
		d.api(http.MethodPost, "webhooks/"+webhook+"/test", "", http.StatusOK, nil)
	}
	d.visit("#requests")
	d.rows(2)
	held := d.site.hold("/"+d.tenant+"/in", http.StatusTeapot)
	canRun := func(want string) {
		t.Helper()
		if got := d.text(`document.getElementById("rerun").ariaDisabled !== "true"`); got != want {
			t.Errorf("that a re-run can be asked for is %s, want %s", got, want)
		}
	}
	d.openRow("1")
	d.click("button", "Re-run request")
	d.seesResult("Sending…")
	<-held.asked
	d.openRow("0")
	d.seesResult("")
	canRun("true")
	d.openRow("1")
	d.seesResult("Sending…")
	canRun("false")
	d.eval(`document.getElementById("rerun").click();`)
	d.click("tab", "Webhooks")
	d.click("tab", "Requests")
	d.seesResult("Sending…")
	d.click("button", "Close")
	close(held.ready)
	d.rows(3) // the button was pressed once
	d.openRow("2")
	d.seesResult("failed 418")
	canRun("true")
	// What was refused may be possible when one comes back.
	d.api(http.MethodPatch, "webhooks/"+webhook, `{"enabled":false}`, http.StatusOK, nil)
	d.click("button", "Re-run request")
	d.seesResult("The webhook is disabled")
	d.openRow("1")
	d.openRow("2")
	d.seesResult("")
	d.logs("", 3)
}
