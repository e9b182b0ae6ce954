package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
	"github.com/caddy-webhooks/caddy-webhooks/internal/openapitest"
)

// together makes n calls at once and counts the answers by their status.
func together(n int, call func(i int) reply) map[int]int {
	statuses := make(map[int]int)
	var lock sync.Mutex
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			got := call(i)
			lock.Lock()
			defer lock.Unlock()
			statuses[got.status]++
		})
	}
	all.Wait()
	return statuses
}

// fillWithWebhooks gives a tenant webhooks, past the API.
func fillWithWebhooks(t *testing.T, store delivery.Store, tenant string, n int) {
	t.Helper()
	if err := store.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range n {
		w := &delivery.Webhook{
			Tenant: tenant, ID: delivery.NewID(store.Now()), URL: "https://example.com/", Enabled: true,
			EventTypes: []string{delivery.AllEventTypes}, CreatedAt: store.Now(), UpdatedAt: store.Now(),
		}
		if err := store.CreateWebhook(t.Context(), w, delivery.MaxWebhooks); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestMostWebhooks creates a tenant's last webhooks and one more, and then all of
// those at once.
func TestMostWebhooks(t *testing.T) {
	c := newConfig()
	addr := redistest.Start(t).Addr
	fillWithWebhooks(t, redisAt(addr), "full", delivery.MaxWebhooks-1)
	c.store = redisAt(addr)
	s := start(t, c)
	create := func(tenant string) reply {
		return s.admin("POST", "api/webhooks", `{"url":"https://example.com/"}`, "X-Tenant", tenant)
	}
	var last webhook
	create("full").want(t, 201, &last)
	if p := create("full").wantProblem(t, 409); !strings.Contains(p.Detail, "10000") {
		t.Errorf("the limit is not in %q", p.Detail)
	}
	create("other").want(t, 201, nil)
	s.admin("PATCH", "api/webhooks/"+last.ID, `{"enabled":false}`, "X-Tenant", "full").want(t, 200, nil)

	s.admin("DELETE", "api/webhooks/"+last.ID, "", "X-Tenant", "full").want(t, 204, nil)
	if got := together(8, func(int) reply { return create("full") }); got[201] != 1 || got[409] != 7 {
		t.Errorf("for one place, 8 got %v", got)
	}
	var list struct {
		Data []webhook `json:"data"`
	}
	s.admin("GET", "api/webhooks", "", "X-Tenant", "full").want(t, 200, &list)
	if len(list.Data) != delivery.MaxWebhooks {
		t.Errorf("there are %d webhooks", len(list.Data))
	}
}

// TestMostDeliveries makes as many deliveries by one call as it may, and one more.
func TestMostDeliveries(t *testing.T) {
	// Two requests at a time, to where nobody is, hold nothing up.
	c := newConfig().withLoopback()
	c.settings.Concurrency, c.settings.ConcurrencyPerWebhook = 2, 2
	s := start(t, c)
	for range 10 {
		s.admin("POST", "api/webhooks", `{"url":"https://127.0.0.1:1/"}`).want(t, 201, nil)
	}
	s.admin("POST", "api/webhooks", `{"url":"https://127.0.0.1:1/","event_types":["group_deleted"]}`).want(t, 201, nil)
	ordinary := strings.Repeat(`{"event_type":"group_created","data":{}},`, 999)
	s.emit(`[`+ordinary+`{"event_type":"group_deleted","event_id":"`+noID+`","data":{}}]`).wantProblem(t, 413)
	s.admin("GET", "api/events/"+noID, "").wantProblem(t, 404)

	var receipts []receipt
	s.emit(`[`+ordinary+`{"event_type":"group_created","event_id":"`+noID+`","data":{}}]`).want(t, 202, &receipts)
	deliveries := 0
	for _, r := range receipts {
		deliveries += r.Deliveries
	}
	if len(receipts) != 1000 || deliveries != delivery.MaxDeliveries {
		t.Errorf("%d receipts with %d deliveries", len(receipts), deliveries)
	}
}

// TestMostEventTypes emits as many event types as a tenant may have in its log, and one more.
func TestMostEventTypes(t *testing.T) {
	raw, err := openapitest.Raw("*")
	if err != nil {
		t.Fatal(err)
	}
	document, err := openapitest.New(raw)
	if err != nil {
		t.Fatal(err)
	}
	for name, store := range map[string]delivery.Store{"embedded": nil, "redis": redisAt(redistest.Start(t).Addr)} {
		t.Run(name, func(t *testing.T) {
			c := newConfig().withLoopback()
			c.eventTypes, c.store = []string{"*"}, store
			s := start(t, c)
			var hook webhook
			s.admin("POST", "api/webhooks", `{"url":"https://127.0.0.1:1/"}`).want(t, 201, &hook)
			s.admin("PATCH", "api/webhooks/"+hook.ID, `{"enabled":false}`).want(t, 200, nil)
			call := func(path, body string) reply {
				t.Helper()
				e := s.exchange("POST", "/hooks/"+path, body, "Authorization", asAdmin, "Content-Type", "application/json")
				if err := document.Check(e); err != nil {
					t.Error(err)
				}
				return reply{e.Status, e.ResponseHeader, e.ResponseBody}
			}
			events := make([]string, delivery.MaxEventTypes)
			for i := range events {
				events[i] = fmt.Sprintf(`{"event_type":"type %d","data":{}}`, i)
			}
			call("api/events", "["+strings.Join(events, ",")+"]").want(t, 202, nil)
			one := `{"event_type":"another","event_id":"` + noID + `","data":{}}`
			for _, body := range []string{one, "[" + events[0] + "," + one + "]"} {
				if p := call("api/events", body).wantProblem(t, 422); !strings.Contains(p.Detail, "1000 event types") {
					t.Errorf("the limit is not in %q", p.Detail)
				}
			}
			s.admin("GET", "api/events/"+noID, "").wantProblem(t, 404)
			s.admin("PATCH", "api/webhooks/"+hook.ID, `{"enabled":true}`).want(t, 200, nil)
			call("api/webhooks/"+hook.ID+"/test", `{"event_type":"another"}`).wantProblem(t, 422)
			call("api/events", events[7]).want(t, 202, nil)
		})
	}
}

// TestTooManyTests has as many tests of a tenant in flight as may be, and one more.
func TestTooManyTests(t *testing.T) {
	const most = 16
	arrived, released := make(chan struct{}, most+2), make(chan struct{})
	endpoint := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-released
	}))
	defer endpoint.Close()
	release := sync.OnceFunc(func() { close(released) })
	defer release()
	c := newConfig().withLoopback()
	c.settings.Timeout = 10 * time.Minute
	s := start(t, c)
	var hook webhook
	s.admin("POST", "api/webhooks", `{"url":"`+endpoint.URL+`"}`).want(t, 201, &hook)
	test := func() reply { return s.admin("POST", "api/webhooks/"+hook.ID+"/test", "{}") }
	done := make(chan map[int]int, 1)
	go func() { done <- together(most, func(int) reply { return test() }) }()
	for range most {
		<-arrived
	}
	got := test()
	got.wantProblem(t, http.StatusTooManyRequests)
	if got.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", got.header.Get("Retry-After"))
	}
	// Events go on, and so do those in flight.
	s.emit(`{"event_type":"group_created","data":{}}`).want(t, 202, nil)
	<-arrived
	release()
	if statuses := <-done; statuses[200] != most {
		t.Errorf("got %v", statuses)
	}
	test().want(t, 200, nil)
}

// TestFull lets Redis reach its maxmemory: what would need more is refused as a
// whole, and all goes on when there is room again.
func TestFull(t *testing.T) {
	server := redistest.Start(t)
	endpoint := newReceiver(t)
	c := newConfig().withLoopback()
	c.store = redisAt(server.Addr)
	s := start(t, c)
	s.admin("POST", "api/webhooks", `{"url":"`+endpoint.URL+`"}`).want(t, 201, nil)
	s.emit(`{"event_type":"group_created","data":{}}`).want(t, 202, nil)
	endpoint.next(t)
	row := s.requests("", 1)[0]

	client := goredis.NewClient(&goredis.Options{Addr: server.Addr})
	defer client.Close()
	limit := func(bytes string) {
		t.Helper()
		if err := client.ConfigSet(t.Context(), "maxmemory", bytes).Err(); err != nil {
			t.Fatal(err)
		}
	}
	limit("1mb") // less than an empty Redis takes
	events := `[{"event_type":"group_created","event_id":"` + noID + `","data":{}},{"event_type":"group_created","data":{}}]`
	for call, body := range map[string]string{
		"api/events": events, "api/webhooks": `{"url":"https://example.com/"}`, "api/webhooks/" + row.WebhookID + "/test": "{}",
	} {
		got := s.admin("POST", call, body)
		if p := got.wantProblem(t, 503); p.Detail != "The store is full." || got.header.Get("Retry-After") != "5" {
			t.Errorf("%s: %q, Retry-After %q", call, p.Detail, got.header.Get("Retry-After"))
		}
	}
	// What is there can be read, and sent again.
	s.admin("GET", "api/events/"+noID, "").wantProblem(t, 404)
	s.admin("POST", "api/requests/"+row.ID+"/rerun", "").want(t, 200, nil)
	endpoint.next(t)
	s.requests("", 2)
	s.admin("GET", "api/health", "").want(t, 200, nil)

	limit("0")
	var receipts []receipt
	s.admin("POST", "api/events", events).want(t, 202, &receipts)
	if len(receipts) != 2 || receipts[0].Duplicate || receipts[0].Deliveries != 1 {
		t.Errorf("got %+v", receipts)
	}
	s.requests("", 4)
	var list struct {
		Data []webhook `json:"data"`
	}
	s.admin("GET", "api/webhooks", "").want(t, 200, &list)
	if len(list.Data) != 1 {
		t.Errorf("got %+v", list)
	}
}
