package caddymodule_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// figure is what a tile of the overview says, without its title.
func (d *dashboard) figure(title string) string {
	d.t.Helper()
	return d.text(fmt.Sprintf(`[...document.querySelectorAll("#figures .card")].find((card) => card.innerText.startsWith(%s))?.innerText.split("\n").slice(1).join(" ").trim()`, quote(title)))
}

// seesFigure waits until a tile says something.
func (d *dashboard) seesFigure(title, want string) {
	d.t.Helper()
	eventually(d.t, fmt.Sprintf("%s to be %q", title, want), func() bool { return d.figure(title) == want })
}

// failOnce emits events whose first attempt fails at a webhook, which is disabled by
// then: they are pending.
func (d *dashboard) failOnce(webhook, path, eventType string, events int) {
	d.t.Helper()
	held := d.site.hold("/"+d.tenant+path, http.StatusBadGateway)
	d.emit(eventType, events)
	for range events {
		<-held.asked
	}
	d.api(http.MethodPatch, "webhooks/"+webhook, `{"enabled":false}`, http.StatusOK, nil)
	close(held.ready)
	d.logs("webhook_id="+webhook, events)
}

// testOverview reads the figures above the list, which follow what happens.
func testOverview(t *testing.T, d *dashboard) {
	d.visit("#requests")
	d.seesFigure("Success rate", "-- 0 failures")
	d.seesFigure("Pending now", "0")
	d.subscribe("/ok")
	d.emit("device_created", 3)
	d.seesFigure("Success rate", "100% 0 failures")
	d.failOnce(d.subscribe("/fails"), "/fails", "device_created", 1)
	d.seesFigure("Success rate", "80% 1 failure")
	d.seesFigure("Requests", "5")
	d.seesFigure("Pending now", "1 1 for disabled webhooks")
	if latency := d.figure("Latency"); !strings.Contains(latency, " ms / ") || !strings.HasSuffix(latency, "p50 / p99") {
		t.Errorf("the latency is %q", latency)
	}
	d.screenshot("overview")
	// What the charts show is said, too, and of each bar.
	label := "4 successes, 1 failure"
	d.find("image", label)
	if said := d.text(`[...document.querySelectorAll("#figures svg")].map((chart) => chart.querySelectorAll("g").length + " " + [...chart.querySelectorAll("title")].at(-1).textContent.replace(/^.*: /, "")).join("; ")`); !strings.HasPrefix(said, "24 "+label+"; 24 "+label+"; 24 ") {
		t.Errorf("the charts say %q", said)
	}
	// The period stays in the address.
	for period, slices := range map[string]int{"Hour": 12, "Week": 28} {
		d.click("button", period)
		d.until(fmt.Sprintf(`document.querySelectorAll("#figures svg")[1].querySelectorAll("g").length === %d`, slices))
		d.until(fmt.Sprintf(`document.querySelector("[data-period][aria-pressed=true]").textContent === %q`, period))
		link := d.text("location.hash")
		if want := "period=" + strings.ToLower(period); !strings.Contains(link, want) {
			t.Errorf("the address is %s", link)
		}
		d.visit("#webhooks")
		d.visit(link)
		d.until(fmt.Sprintf(`document.querySelectorAll("#figures svg")[1].querySelectorAll("g").length === %d`, slices))
		d.openNewest() // which keeps it
		if now := d.text("location.hash"); !strings.HasPrefix(now, link) {
			t.Errorf("the address has become %s", now)
		}
		d.press("Escape")
	}
}

// testWebhookFacts reads how webhooks fare.
func testWebhookFacts(t *testing.T, d *dashboard) {
	d.subscribe("/ok")
	fails := d.subscribe("/fails")
	d.visit("#webhooks")
	d.sees("none yet · 0 pending")
	d.failOnce(fails, "/fails", "device_created", 2)
	d.logs("", 4)
	d.visit("#requests")
	d.visit("#webhooks")
	d.seesStrips("2 successes, 0 failures", "0 successes, 2 failures")
	if bars := d.text(`[...document.querySelectorAll("#webhook-list svg")].map((strip) => strip.querySelectorAll("g").length + " " + strip.querySelectorAll("g:nth-last-child(-n + 2) .bad:not([height='0'])").length).join("; ")`); bars != "24 0; 24 1" {
		t.Errorf("the strips have %s", bars)
	}
	d.until(`/, last .* · 0 pending/.test(document.querySelectorAll("#webhook-list li")[0].innerText)`)
	d.until(`/, last .* · disabled .*, 2 deliveries wait/.test(document.querySelectorAll("#webhook-list li")[1].innerText)`)
	d.screenshot("webhooks with strips")
	// Enabled, it sends what waited.
	d.answer("/fails", http.StatusOK, "")
	d.eval(`document.querySelectorAll("#webhook-list [role=switch]")[1].click()`)
	d.until(`/pending/.test(document.querySelectorAll("#webhook-list li")[1].innerText)`)
	d.logs("status=success", 4)
	d.visit("#requests")
	d.visit("#webhooks")
	d.seesStrips("2 successes, 0 failures", "2 successes, 2 failures")
}

// testManyWebhooks asks how webhooks fared for those in sight alone.
func testManyWebhooks(t *testing.T, d *dashboard) {
	const many = 60
	for range many {
		d.subscribe("/ok")
	}
	d.size(1000, 500)
	d.visit("#webhooks")
	const strip = `document.querySelectorAll("#webhook-list > li")[%d].querySelector(".day svg")`
	d.until(fmt.Sprintf(strip, 0))
	d.until(`!` + fmt.Sprintf(strip, many-1))
	d.until(fmt.Sprintf(`(window.scrollTo(0, document.documentElement.scrollHeight), `+strip+`)`, many-1))
	d.until(`!` + fmt.Sprintf(strip, many/2))
	if asked := d.text(`Math.max(...performance.getEntriesByType("resource").map(({ name }) => new URL(name).searchParams.get("webhook_ids")?.split(",").length ?? 0))`); len(asked) != 1 {
		t.Errorf("up to %s webhooks were asked for at a time", asked)
	}
}

// seesStrips waits until the strips of webhooks say something.
func (d *dashboard) seesStrips(want ...string) {
	d.t.Helper()
	labels := "Last 24 hours: " + strings.Join(want, "; Last 24 hours: ")
	d.until(`[...document.querySelectorAll("#webhook-list svg")].map((strip) => strip.getAttribute("aria-label")).join("; ") === ` + quote(labels))
}
