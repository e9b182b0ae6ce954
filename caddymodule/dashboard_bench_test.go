package caddymodule_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// BenchmarkDashboard measures what people wait for with a million rows in the log:
// from the navigation to the first paint and to the first rows, and from choosing a
// filter until its rows are laid out, or it is said that there are none. Of each it
// reports the median and the longest.
func BenchmarkDashboard(b *testing.B) {
	const rows = 1_000_000
	browser := startChromium(b)
	for name, fill := range map[string]func(testing.TB) string{
		"embedded": func(t testing.TB) string {
			folder := t.TempDir()
			fillEmbedded(t, folder, rows)
			return "embedded " + folder
		},
		"redis": func(t testing.TB) string {
			server := redistest.Start(t)
			fillLog(t, redis.New(redis.Options{Addresses: []string{server.Addr}}), rows)
			return "redis redis://" + server.Addr
		},
	} {
		b.Run(name, func(b *testing.B) {
			store := fill(b)
			d := startDashboardSite(b, browser, store).openAs(b, longTenant)
			call(d.tab, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
				Source: `window.when = (so) => new Promise((resolve) => {
					const look = () => so() && document.body.offsetHeight && resolve(performance.now());
					new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true });
				});
				window.rows = when(() => document.querySelector("#requests tbody tr"));`,
			})
			took := make(map[string][]float64)
			note := func(what, expression string) {
				ms, err := strconv.ParseFloat(d.text(expression), 64)
				if err != nil {
					b.Fatal(err)
				}
				took[what] = append(took[what], ms)
			}
			for b.Loop() {
				d.run(chromedp.Navigate(d.at("hooks/api/health"))) // whose process the page takes over
				d.visit("#requests")
				note("rows", `await window.rows`)
				note("paint", `await new Promise((resolve) => {
					new PerformanceObserver((list) => resolve(list.getEntries()[0].startTime)).observe({ type: "paint", buffered: true });
				})`)
				note("failed", choose("status", "failed", `document.querySelector("#requests tbody .badge")?.textContent === "failed"`))
				note("nothing", choose("event_type", "group_created", `document.querySelector("#requests .state h3")?.checkVisibility()`))
			}
			for what, all := range took {
				slices.Sort(all)
				b.ReportMetric(all[len(all)/2], what+"-median-ms")
				b.ReportMetric(all[len(all)-1], what+"-max-ms")
			}
		})
	}
}

// choose is how long it takes, from choosing a filter, until something is so.
func choose(filter, value, so string) string {
	return fmt.Sprintf(`await (async () => {
		const field = document.querySelector("#filters [name=%s]");
		const begun = performance.now();
		const done = when(() => %s);
		field.value = %q;
		field.dispatchEvent(new Event("change", { bubbles: true }));
		return await done - begun;
	})()`, filter, so, value)
}
