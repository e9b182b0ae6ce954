package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/runtime"
	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/embedded"
)

const (
	longTenant = "long"
	longLog    = 100_000 // rows
)

// fillEmbedded writes a long log into a folder that no Caddy has yet.
func fillEmbedded(t testing.TB, folder string, rows int) {
	t.Helper()
	fillLog(t, embedded.New(folder), rows)
}

// fillLog writes a long log into a store: a row for each second, and one in a hundred
// failed.
func fillLog(t testing.TB, store delivery.Copyable, rows int) {
	t.Helper()
	if err := store.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}()
	add := func(batch *delivery.Batch) {
		t.Helper()
		if _, err := store.Import(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	webhook := delivery.Webhook{
		Tenant: longTenant, ID: delivery.NewID(now), URL: "https://receiver.example/in", Enabled: true,
		EventTypes: []string{delivery.AllEventTypes}, CreatedAt: now, UpdatedAt: now,
	}
	first := new(delivery.Batch)
	first.AddWebhook(delivery.StoredWebhook{Webhook: webhook})
	add(first)
	for n := rows - 1; n >= 0; { // the oldest first, as stores get them
		batch := new(delivery.Batch)
		for ; n >= 0 && !batch.Full(); n-- {
			started := now.Add(-time.Duration(n) * time.Second)
			request := delivery.Request{
				Tenant: longTenant, ID: delivery.NewID(started), WebhookID: webhook.ID, EventID: uuid.New(),
				EventType: "device_updated", OccurredAt: started, Trigger: delivery.TriggerEvent, Attempt: 1, MaxAttempts: 3,
				Status: delivery.RequestSuccess, StatusCode: 200, URL: fmt.Sprintf("%s?row=%d", webhook.URL, n), Duration: 20 * time.Millisecond,
			}
			if n%100 == 0 {
				request.Status, request.StatusCode, request.EventType = delivery.RequestFailed, 503, "device_deleted"
			}
			batch.AddRequest(delivery.StoredRequest{Request: request})
		}
		add(batch)
	}
}

// scrollOn scrolls to the end of the list again and again for a second, or until it is
// whole.
const scrollOn = `await (async () => {
	const most = { Rows: 0, Elements: 0, Height: 0, Whole: false, Pages: [] };
	for (const until = performance.now() + 1000; !most.Whole && performance.now() < until;) {
		most.Height = document.documentElement.scrollHeight;
		window.scrollTo(0, most.Height);
		await new Promise((next) => { requestAnimationFrame(next); setTimeout(next, 100); });
		const pages = [...document.querySelectorAll("#requests tbody")].map((page) => ({
			rows: page.childElementCount, from: Math.round(page.getBoundingClientRect().top), high: page.offsetHeight,
		}));
		if (pages.length >= most.Pages.length) {
			most.Pages = pages;
		}
		most.Rows = Math.max(most.Rows, document.querySelectorAll("#requests tbody tr").length);
		most.Elements = Math.max(most.Elements, document.querySelectorAll("*").length);
		most.Whole = document.querySelector(".end").textContent === "No more requests.";
	}
	return JSON.stringify(most);
})()`

// testLongLog scrolls through all of a long log: only some pages of it, of 200 rows,
// are in the document at a time, and few more in memory. The others have left their
// height.
func testLongLog(t *testing.T, d *dashboard) {
	d.size(1000, 300) // little to paint
	d.visit("#requests")
	d.until(`document.querySelectorAll("#requests tbody tr").length > 0`)
	// Chromium at times forgets a task of its painting, and then waits for it for ever: of
	// thousands of frames, none has anything to paint.
	d.eval(`document.documentElement.style.visibility = "hidden"`)
	height, longer := 0, time.Now()
	for whole := false; !whole; {
		var most struct {
			Rows, Elements, Height int
			Whole                  bool
			Pages                  json.RawMessage
		}
		if err := json.Unmarshal([]byte(d.text(scrollOn)), &most); err != nil {
			t.Fatal(err)
		}
		if most.Rows > 1000 || most.Elements > 20_000 {
			t.Fatalf("there are %d rows, %d elements, in pages %s of a list that is %d high", most.Rows, most.Elements, most.Pages, most.Height)
		}
		whole = most.Whole
		if most.Height > height {
			height, longer = most.Height, time.Now()
		} else if time.Since(longer) > patience {
			t.Fatalf("the list does not become longer: %s", d.text(`JSON.stringify({
				page: document.visibilityState, connection: document.querySelector("#connection p")?.textContent,
				end: document.querySelector(".end").textContent, at: window.scrollY, of: document.documentElement.scrollHeight,
				painted: await Promise.race([
					new Promise((done) => { requestAnimationFrame(() => done(true)); }),
					new Promise((done) => { setTimeout(() => done(false), 5000); }),
				]),
			})`))
		}
	}
	last := fmt.Sprintf("row=%d", longLog-1)
	d.until(`(() => {
		window.scrollTo(0, document.documentElement.scrollHeight); // rows that were painted may have moved the end
		return document.querySelector("#requests tbody:last-of-type tr:last-child .url").textContent.endsWith(` + quote(last) + `);
	})()`)
	d.eval(`document.documentElement.style.visibility = ""`)
	d.until(fmt.Sprintf(`document.documentElement.scrollHeight > %d * 20`, longLog))
	// Most rows have been forgotten.
	const most = 10_000_000 // bytes; all rows take almost four times as many
	call(d.tab, heapprofiler.CollectGarbage, cdp.Empty{})
	if used := call(d.tab, runtime.GetHeapUsage, cdp.Empty{}).UsedSize; used > most {
		t.Errorf("the page uses %.0f bytes", used)
	}
	// In the middle, and at the beginning, are the rows that belong there.
	d.eval(`window.scrollTo(0, document.documentElement.scrollHeight / 2)`)
	d.until(`/row=[45]\d\d\d\d$/.test(document.elementsFromPoint(300, 150).map((e) => e.closest("tr")?.querySelector(".url").textContent ?? "").find(Boolean))`)
	d.screenshot("requests in the middle")
	d.eval(`window.scrollTo(0, 0)`)
	d.until(`document.querySelector("#requests tbody .url").textContent.endsWith("row=0")`)
}
