package delivery_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// ordered makes a webhook with an order.
func (r *running) ordered(url, orderBy string) *delivery.Webhook {
	r.t.Helper()
	w, err := r.CreateWebhook(r.t.Context(), delivery.Webhook{
		Tenant: tenant, URL: url, Enabled: true, EventTypes: []string{delivery.AllEventTypes}, OrderBy: orderBy,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return w
}

// numbers are endpoints that take a second for each request, and remember what the member n of the
// data was, by URL.
type numbers struct {
	mu  sync.Mutex
	got map[string][]string
}

func (n *numbers) respond(ctx context.Context, m sender.Message) sender.Response {
	_, number, _ := strings.Cut(string(m.Body), `"n":`)
	number, _, _ = strings.Cut(number, "}")
	n.mu.Lock()
	n.got[m.URL] = append(n.got[m.URL], number)
	n.mu.Unlock()
	return after(time.Second)(ctx, m)
}

func (n *numbers) to(name string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.got["https://"+name+".example"])
}

// TestOrderBy has deliveries go one at a time by the text that an order gives, however much of
// webhooks is remembered.
func TestOrderBy(t *testing.T) {
	for name, most := range map[string]int{"all": 4 << 20, "no records": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testOrderBy(t, most) })
		})
	}
}

func testOrderBy(t *testing.T, most int) {
	told, got := new(notes), &numbers{got: make(map[string][]string)}
	r := runObserved(t, told, flaky.New(), newEndpoints(got.respond))
	defer r.stop()
	r.RememberLittle(most, 1<<20)
	r.webhook("https://all.example")
	keyed := r.ordered("https://keyed.example", "data.key")
	r.ordered("https://one.example", "''")
	emit := func(keys ...string) {
		t.Helper()
		data := make([]string, len(keys))
		for i, key := range keys {
			if data[i] = fmt.Sprintf(`{"key":%q,"n":%d}`, key, i); key == "" {
				data[i] = fmt.Sprintf(`{"n":%d}`, i)
			}
		}
		if _, err := r.emitData(data...); err != nil {
			t.Fatal(err)
		}
	}
	wantSent := func(name string, want ...string) {
		t.Helper()
		synctest.Wait()
		if sent := got.to(name); !slices.Equal(sent, want) {
			t.Errorf("%s got %v, want %v", name, sent, want)
		}
	}
	emit("a", "b", "a", "", "a", "")
	wantSent("one", "0")
	if n := len(got.to("keyed")); n != 3 {
		t.Errorf("of all keys, %d were sent at once, want 3", n)
	}
	time.Sleep(time.Second + time.Millisecond)
	wantSent("one", "0", "1")
	if n := len(got.to("keyed")); n != 5 {
		t.Errorf("of all keys, %d were sent after a second, want 5", n)
	}
	time.Sleep(10 * time.Second)
	wantSent("one", "0", "1", "2", "3", "4", "5")
	if n := len(got.to("all")); n != 6 {
		t.Errorf("a webhook without an order got %d", n)
	}
	for _, of := range [][]string{{"0", "2", "4"}, {"3", "5"}} {
		some := slices.DeleteFunc(got.to("keyed"), func(n string) bool { return !slices.Contains(of, n) })
		if !slices.Equal(some, of) {
			t.Errorf("of one key %v were sent, want %v", some, of)
		}
	}
	if n := strings.Count(strings.Join(told.take(), "\n"), "order failed"); n != 2 {
		t.Errorf("the observer was told of %d orders that failed", n)
	}
	if _, err := r.ChangeWebhook(t.Context(), keyed.Ref(), func(w *delivery.Webhook) { w.OrderBy = "" }); err != nil {
		t.Fatal(err)
	}
	emit("a", "a", "a")
	synctest.Wait()
	if n := len(got.to("keyed")); n != 6+3 {
		t.Errorf("without an order, %d were sent at once, want 3", n-6)
	}
}
