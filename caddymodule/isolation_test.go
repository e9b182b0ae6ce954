package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/embedded"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// tenant calls the API, and has things there.
type tenant struct {
	*caddySite
	name     string
	endpoint *receiver

	webhook, event, request, cursor string
	webhookCursor, auditCursor      string
	deliveryCursor, eventCursor     string
	replay                          string
}

func (n *tenant) call(method, path, body string) reply {
	n.t.Helper()
	return n.admin(method, path, body, "X-Tenant", n.name)
}

// tenants starts a site with these tenants, on a store. Each has a webhook and two events, the first of
// which has the same id in every tenant. Everything that a tenant has contains its name.
func tenants(t *testing.T, store string, names ...string) []*tenant {
	t.Helper()
	endpoint := newReceiver(t)
	s := startSite(t, siteConfig{
		webhooks: endpoint.configOf(store) + "\naudit",
		handler:  "admin_token " + adminToken + "\ntenant {header.X-Tenant}",
	})
	s.ready()
	all := make([]*tenant, len(names))
	for i, name := range names {
		n := &tenant{caddySite: s, name: name, endpoint: endpoint}
		var hook webhook
		n.call("POST", "api/webhooks", `{"url":"`+endpoint.URL+`/of/`+name+`","description":"of/`+name+`"}`).want(t, 201, &hook)
		n.webhook, n.event = hook.ID, noID
		for _, id := range []string{`"event_id":"` + noID + `",`, ""} {
			var got receipt
			n.call("POST", "api/events", `{"event_type":"group_created",`+id+`"data":{"of":"of/`+name+`"}}`).want(t, 202, &got)
			if got.Duplicate || got.Deliveries != 1 {
				t.Errorf("%s: %+v", name, got)
			}
			if got := endpoint.next(t); got.path != "/of/"+name || !bytes.Contains(got.body, []byte(`"of/`+name+`"`)) {
				t.Errorf("%s: %s got %s", name, got.path, got.body)
			}
		}
		var page requestList
		eventually(t, "the log", func() bool {
			n.call("GET", "api/requests?limit=1", "").want(t, 200, &page)
			return page.NextCursor != nil
		})
		n.cursor = *page.NextCursor
		n.call("GET", "api/requests?event_id="+noID, "").want(t, 200, &page)
		if len(page.Data) != 1 {
			t.Fatalf("%s: %d requests", name, len(page.Data))
		}
		n.request = page.Data[0].ID
		all[i] = n
	}
	return all
}

// snapshot is everything that a tenant can see.
func (n *tenant) snapshot() string {
	n.t.Helper()
	var all strings.Builder
	for _, path := range []string{
		"webhooks", "webhooks/" + n.webhook, "audit", "replays", "deliveries", "requests", "requests/" + n.request, "events/" + n.event,
		"requests?webhook_id=" + n.webhook, "requests?event_id=" + n.event, "requests?event_type=group_created", "requests?cursor=" + n.cursor,
	} {
		got := n.call("GET", "api/"+path, "")
		got.want(n.t, 200, nil)
		all.Write(got.body)
	}
	return all.String()
}

// readCursors gives the tenant a second webhook, so that each list has a cursor, and reads these.
func (n *tenant) readCursors() {
	n.t.Helper()
	n.call("POST", "api/webhooks", `{"url":"`+n.endpoint.URL+`/of/`+n.name+`","description":"of/`+n.name+`","enabled":false}`).want(n.t, 201, nil)
	for list, cursor := range map[string]*string{"webhooks": &n.webhookCursor, "audit": &n.auditCursor, "deliveries": &n.deliveryCursor, "events": &n.eventCursor} {
		var page struct {
			NextCursor string `json:"next_cursor"`
		}
		if err := json.Unmarshal(n.call("GET", "api/"+list+"?limit=1", "").body, &page); err != nil || page.NextCursor == "" {
			n.t.Fatalf("no cursor of %s: %v", list, err)
		}
		*cursor = page.NextCursor
	}
	n.replay = n.emptyReplay()
}

// emptyReplay has nothing sent again.
func (n *tenant) emptyReplay() (id string) {
	n.t.Helper()
	var made struct{ ID, State string }
	if err := json.Unmarshal(n.call("POST", "api/replays", `{"since":"2120-01-01T00:00:00Z"}`).body, &made); err != nil {
		n.t.Fatal(err)
	}
	eventually(n.t, "the end of a replay", func() bool {
		err := json.Unmarshal(n.call("GET", "api/replays/"+made.ID, "").body, &made)
		return err == nil && made.State == "done"
	})
	return made.ID
}

// position is a place in the tenant's stream.
func (n *tenant) position() string {
	n.t.Helper()
	start := string(n.call("GET", "api/requests/stream", "").body)
	_, id, _ := strings.Cut(start, "id: ")
	id, _, ok := strings.Cut(id, "\n")
	if !ok {
		n.t.Fatalf("no position in %q", start)
	}
	return id
}

// TestTenantsAreIsolated makes every call as one tenant with something of another's. The
// answer must be as if that did not exist, after the same work, and nothing may change.
func TestTenantsAreIsolated(t *testing.T) {
	t.Run("redis", func(t *testing.T) {
		testTenantsAreIsolated(t, redis.New(redis.Options{Addresses: []string{redistest.Start(t).Addr}}))
	})
	t.Run("embedded", func(t *testing.T) { testTenantsAreIsolated(t, embedded.New(t.TempDir())) })
}

func testTenantsAreIsolated(t *testing.T, store delivery.Store) {
	observed = &observedStore{Store: store}
	both := tenants(t, "observed", "one", "two")
	one, two := both[0], both[1]
	one.readCursors()
	var another receipt // of one, and which two does not emit
	one.call("POST", "api/events", `{"event_type":"group_created","data":{"of":"of/one"}}`).want(t, 202, &another)
	one.endpoint.next(t)
	eventually(t, "its request", func() bool { return strings.Count(one.snapshot(), another.EventID) > 0 })
	before := one.snapshot()

	var events requestList
	one.call("GET", "api/requests?limit=2", "").want(t, 200, &events)
	onlyOnes := events.Data[1].EventID // both tenants have the event before it
	calls := foreignCalls(one, two, onlyOnes, another.EventID)
	wantIDsTried(t, calls)
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		for _, c := range calls[name] {
			two.callForeign(name, c, "of/one", one.webhook, one.request, onlyOnes, another.EventID)
		}
	}
	// Each event that was emitted went to its own tenant's webhook only.
	for range 3 {
		if got := two.endpoint.next(t); got.path != "/of/two" {
			t.Errorf("%s got %s", got.path, got.body)
		}
	}
	if n := len(two.endpoint.got); n > 0 {
		t.Errorf("%d requests more were sent", n)
	}
	// Another tenant's cursor is a place in time in a tenant's own log.
	var page requestList
	two.call("GET", "api/requests?cursor="+one.cursor, "").want(t, 200, &page)
	if len(page.Data) != 0 {
		t.Errorf("before the other tenant's requests there are %+v", page.Data)
	}
	one.call("GET", "api/requests?cursor="+two.cursor, "").want(t, 200, &page)
	if len(page.Data) != 2 || page.Data[0].WebhookID != one.webhook || page.Data[1].WebhookID != one.webhook {
		t.Errorf("after the other tenant's requests there are %+v", page.Data)
	}
	if after := one.snapshot(); after != before {
		t.Errorf("got\n%s\nfrom\n%s", after, before)
	}
}

// callForeign makes a call of an operation, and checks that the answer has nothing of the
// other tenant's, and is the one for an id that nobody has, by the same operations of the store.
func (n *tenant) callForeign(operation string, c foreignCall, others ...string) {
	n.t.Helper()
	method, _, _ := strings.Cut(operation, " ")
	call := func(id string) (answer string, done []string) {
		observed.take()
		path, body := c.with(id)
		got := n.call(method, path, body)
		done = observed.take()
		got.header.Del("Date")
		answer = fmt.Sprintf("%d %v %s", got.status, got.header, got.body)
		if id == "" && got.status >= 300 {
			n.t.Errorf("%s: %s", operation, answer)
		}
		if id != "" {
			answer = strings.ReplaceAll(answer, id, "<id>")
		}
		return streamPosition.ReplaceAllString(answer, "id: <position>"), done
	}
	answer, done := call(c.id)
	for _, other := range others {
		if strings.Contains(answer, other) {
			n.t.Errorf("%s: %s is in %s", operation, other, answer)
		}
	}
	if c.id == "" {
		return
	}
	none, doneInVain := call(c.none)
	if none != answer {
		n.t.Errorf("%s %s: %s, but %s for an id that nobody has", operation, c.path, answer, none)
	}
	if !slices.Equal(done, doneInVain) {
		n.t.Errorf("%s %s does %q, but %q for an id that nobody has", operation, c.path, done, doneInVain)
	}
}

// streamPosition is random in part.
var streamPosition = regexp.MustCompile(`id: [^\n]+`)

// TestTenantsOfSimilarNames has tenants whose names begin alike, differ only in case, or
// look like parts of keys in the store.
func TestTenantsOfSimilarNames(t *testing.T) {
	long := strings.Repeat("a", 127)
	all := tenants(t, "redis redis://"+redistest.Start(t).Addr, "a", "A", "aa", "a.b", "a.B", "a-b", "a_b", "a_", "a.", ".", "..", "-", "_", "0", "a.0", "version",
		noID, "a-"+noID, long, long+"a", long+"b", "default")
	for _, n := range all {
		var hooks struct {
			Data []webhook `json:"data"`
		}
		n.call("GET", "api/webhooks", "").want(t, 200, &hooks)
		if len(hooks.Data) != 1 || hooks.Data[0].Description != "of/"+n.name {
			t.Errorf("%s: %+v", n.name, hooks)
		}
		var ev event
		n.call("GET", "api/events/"+noID, "").want(t, 200, &ev)
		if string(ev.Data) != `{"of":"of/`+n.name+`"}` || len(ev.Deliveries) != 1 || ev.Deliveries[0].WebhookID != n.webhook {
			t.Errorf("%s: %+v", n.name, ev)
		}
		for query, want := range map[string]int{"": 2, "?event_id=" + noID: 1, "?webhook_id=" + n.webhook: 2} {
			var page requestList
			n.call("GET", "api/requests"+query, "").want(t, 200, &page)
			others := slices.ContainsFunc(page.Data, func(r request) bool { return r.WebhookID != n.webhook })
			if len(page.Data) != want || others {
				t.Errorf("%s: %s gives %+v", n.name, query, page.Data)
			}
		}
	}
	// A tenant deletes only its own webhook.
	all[0].call("DELETE", "api/webhooks/"+all[0].webhook, "").want(t, http.StatusNoContent, nil)
	for _, n := range all[1:] {
		var page requestList
		n.call("GET", "api/requests?webhook_id="+n.webhook, "").want(t, 200, &page)
		if n.call("GET", "api/webhooks/"+n.webhook, "").status != 200 || len(page.Data) != 2 {
			t.Errorf("%s has lost something: %s", n.name, fmt.Sprint(page))
		}
	}
}
