package caddymodule_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func testLog(t *testing.T, d *dashboard) {
	d.visit("#requests")
	d.sees("No requests yet")
	d.screenshot("requests none")
	d.subscribe("/ok")
	d.answer("/fails", http.StatusBadGateway, "upstream is away")
	d.subscribe("/fails")
	d.emit("device_created", 1)
	d.logs("", 4) // one request to /ok, and three to /fails
	d.rows(4)
	rows := d.text(`[...document.querySelectorAll("#requests tbody tr")].map((row) => [...row.cells].slice(1, 8).map((cell) => cell.innerText).join(" ")).join("\n")`)
	for _, want := range []string{
		"failed 502 " + d.endpoint("/fails") + " device_created 3/3 retry ",
		"failed 502 " + d.endpoint("/fails") + " device_created 1/3 event ",
		"success 200 " + d.endpoint("/ok") + " device_created 1/3 event ",
	} {
		if !strings.Contains(rows, want) {
			t.Errorf("%q is not in\n%s", want, rows)
		}
	}
	d.screenshot("requests some")
	// A request without a connection has no code.
	d.api(http.MethodPatch, "webhooks/"+d.webhooks()[0].ID, `{"url":"https://127.0.0.1:1/away"}`, http.StatusOK, nil)
	d.api(http.MethodPost, "webhooks/"+d.webhooks()[0].ID+"/test", "", http.StatusOK, nil)
	d.until(`document.querySelector("#requests tbody tr .code").textContent === "--"`)
}

func testFilters(t *testing.T, d *dashboard) {
	ok, fails := d.subscribe("/ok"), d.subscribe("/fails")
	d.answer("/fails", http.StatusNotFound, "nobody")
	event := d.emit("device_created", 1)
	d.emit("group_updated", 2)
	d.logs("status=success", 3)
	d.logs("status=failed", 9)
	d.visit("#requests")
	d.rows(12)
	d.chooseFilter("status", "failed")
	d.rows(9)
	d.chooseFilter("webhook_id", ok)
	d.sees("No requests match")
	d.screenshot("requests no match")
	d.chooseFilter("webhook_id", fails)
	d.rows(9)
	d.fill("combobox", "Event type", "device_created")
	d.rows(3)
	d.fill("combobox", "Event type", "")
	d.fill("textbox", "Event ID", "something")
	d.sees("An event ID has 36 characters")
	d.fill("textbox", "Event ID", event)
	d.rows(3)
	d.click("button", "Last hour")
	d.rows(3)
	d.screenshot("requests filtered")
	// A link shows the same.
	link := d.text(`location.hash`)
	query, err := url.ParseQuery(strings.TrimPrefix(link, "#requests?"))
	if err != nil {
		t.Fatal(err)
	}
	since, err := time.Parse(time.RFC3339, query.Get("since"))
	if err != nil || time.Since(since) < time.Hour || query.Get("status") != "failed" || query.Get("webhook_id") != fails || query.Get("event_id") != event {
		t.Errorf("the address is %s: %v", link, err)
	}
	d.visit("#webhooks")
	d.visit(link)
	d.rows(3)
	for field, want := range map[string]string{"status": "failed", "webhook_id": fails, "event_id": event} {
		if got := d.text(`document.querySelector("#filters [name=` + field + `]").value`); got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	d.chooseFilter("until", "2020-01-01T00:00")
	d.sees("No requests match")
	d.click("button", "Clear filters")
	d.rows(12)
	// The page says what Caddy does not understand.
	d.visit("#requests?webhook_id=nothing")
	d.sees("This must be a UUID")
}

// chooseFilter gives a field of the filters a value. The webhooks to choose from may come
// after the page.
func (d *dashboard) chooseFilter(name, value string) {
	d.t.Helper()
	d.until(`(() => {
		const field = document.querySelector("#filters [name=` + name + `]");
		field.value = ` + quote(value) + `;
		return field.value === ` + quote(value) + ` && field.dispatchEvent(new Event("input", { bubbles: true }));
	})()`)
}

// testTimes switches all times to exact ones, and back.
func testTimes(t *testing.T, d *dashboard) {
	webhook := d.subscribe("/ok")
	d.api(http.MethodPost, "webhooks/"+webhook+"/test", "", http.StatusOK, nil)
	d.visit("#requests")
	d.until(`document.querySelector("tbody time")`)
	year := time.Now().Format("2006")
	shown := func() string { return d.text(`document.querySelector("tbody time").textContent`) }
	if hover := d.text(`document.querySelector("tbody time").title`); strings.Contains(shown(), year) || !strings.Contains(hover, year) {
		t.Errorf("the time is %q, and %q on hover", shown(), hover)
	}
	d.click("switch", "Exact times")
	if !strings.Contains(shown(), year) {
		t.Errorf("the exact time is %q", shown())
	}
	d.visit("#webhooks") // the page remembers the choice
	d.until(`document.querySelector(".facts time")?.textContent.includes("` + year + `")`)
	d.click("switch", "Exact times")
	if text := d.text(`document.querySelector(".facts time").textContent`); strings.Contains(text, year) {
		t.Errorf("the time is %q", text)
	}
}
