package caddymodule_test

import (
	"net/http"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
	"github.com/caddy-webhooks/caddy-webhooks/internal/openapitest"
)

// onBothStores runs a test with each kind of store.
func onBothStores(t *testing.T, test func(t *testing.T, store string)) {
	t.Run("redis", func(t *testing.T) { test(t, "redis redis://"+redistest.Start(t).Addr) })
	t.Run("embedded", func(t *testing.T) { test(t, "embedded "+t.TempDir()) })
}

// TestStream has requests come as they are in the list, in the order in which they end.
// Filtered streams get the requests that they ask for, and no others.
func TestStream(t *testing.T) {
	onBothStores(t, func(t *testing.T, store string) {
		endpoint := newReceiver(t)
		s := startSite(t, siteConfig{webhooks: endpoint.configOf(store)})
		s.subscribe(endpoint)
		s.emitMany(3)
		eventually(t, "the log", func() bool { return len(s.wholeLog()) == 3 })
		before := s.wholeLog()[0]

		all := s.follow("")
		start := all.wantEvent("start")
		for name, want := range map[string]string{
			"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff",
		} {
			if got := all.header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		filters := streamFilters(before)
		filtered := make(map[string]*eventStream)
		for query := range filters {
			filtered[query] = s.follow(query)
			filtered[query].wantEvent("start")
		}
		rows := s.streamRequests(all, endpoint, before)

		list := s.wholeLog()[:len(rows)]
		slices.Reverse(list)
		if !equalRows(rows, list) {
			t.Errorf("the stream has\n%+v, the list\n%+v", rows, list)
		}
		resumed := s.follow("?last_event_id=" + start.id)
		resumed.wantEvent("start")
		resumed.wantRows("a stream from the start", rows)
		for query, chosen := range filters {
			want := slices.DeleteFunc(slices.Clone(rows), func(r request) bool { return !chosen(r) })
			filtered[query].wantRows(query, want)
			filtered[query].none(query)
		}
	})
}

// streamFilters are queries, and which requests each asks for.
func streamFilters(before request) map[string]func(request) bool {
	return map[string]func(request) bool{
		"?status=failed":                                 func(r request) bool { return r.Status == "failed" },
		"?status=success":                                func(r request) bool { return r.Status == "success" },
		"?event_type=group_deleted":                      func(r request) bool { return r.EventType == "group_deleted" },
		"?webhook_id=" + before.WebhookID:                func(request) bool { return true },
		"?event_id=" + before.EventID:                    func(r request) bool { return r.EventID == before.EventID },
		"?status=failed&event_type=group_created":        func(r request) bool { return r.Status == "failed" && r.EventType == "group_created" },
		"?webhook_id=" + noID:                            func(request) bool { return false },
		"?event_id=00000000-0000-0000-0000-000000000000": func(request) bool { return false },
	}
}

// streamRequests has three attempts of a delivery fail, another delivery succeed, and a
// request run again. It returns the rows that the stream gives for these.
func (s *caddySite) streamRequests(all *eventStream, endpoint *receiver, before request) (rows []request) {
	endpoint.answer(500)
	s.emit(`{"event_type":"group_deleted","data":{}}`).want(s.t, 202, nil)
	for range 3 {
		rows = append(rows, all.row())
	}
	endpoint.answer(200)
	s.emit(`{"event_type":"group_created","data":{}}`).want(s.t, 202, nil)
	rows = append(rows, all.row())
	s.admin("POST", "api/requests/"+before.ID+"/rerun", "{}").want(s.t, 200, nil)
	return append(rows, all.row())
}

// wantRows checks which rows a stream gives next.
func (e *eventStream) wantRows(what string, rows []request) {
	e.t.Helper()
	for _, row := range rows {
		if got := e.row(); got.ID != row.ID {
			e.t.Errorf("%s gives %+v, want %+v", what, got, row)
		}
	}
}

func equalRows(a, b []request) bool {
	return slices.EqualFunc(a, b, func(a, b request) bool {
		return a.ID == b.ID && a.Status == b.Status && a.Trigger == b.Trigger && a.EventID == b.EventID &&
			(a.NextAttemptAt == nil) == (b.NextAttemptAt == nil) && a.StartedAt == b.StartedAt
	})
}

// TestStreamRefused asks for streams that are refused.
func TestStreamRefused(t *testing.T) {
	s := api(t, "")
	for _, tc := range []struct {
		query, auth string
		want        int
	}{
		{"", "", 401},
		{"", "Bearer wrong", 401},
		{"", asEmitter, 403},
		{"?x=1", asAdmin, 400},
		{"?limit=1", asAdmin, 400},
		{"?cursor=AQ", asAdmin, 400},
		{"?since=2026-03-13T18:30:00Z", asAdmin, 400},
		{"?status=pending", asAdmin, 400},
		{"?webhook_id=1", asAdmin, 400},
		{"?last_event_id=", asAdmin, 400},
	} {
		s.do("GET", "/hooks/api/requests/stream"+tc.query, "", "Authorization", tc.auth).wantProblem(t, tc.want)
	}
	s.admin("POST", "api/requests/stream", "{}").wantProblem(t, 405)
	if head := s.admin("HEAD", "api/requests/stream", ""); head.status != 200 || head.header.Get("Content-Type") != openapitest.StreamType {
		t.Errorf("HEAD: %d %v", head.status, head.header)
	}

	streams := make([]*eventStream, 64)
	for i := range streams {
		streams[i] = s.follow("")
		streams[i].wantEvent("start")
	}
	refused := s.admin("GET", "api/requests/stream", "")
	refused.wantProblem(t, http.StatusTooManyRequests)
	if refused.header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	streams[0].cancel()
	eventually(t, "a place to become free", func() bool { return s.admin("GET", "api/requests/stream", "").status == 200 })
}

// TestStreamTenants has each tenant see its own requests.
func TestStreamTenants(t *testing.T) {
	both := tenants(t, "embedded", "one", "two")
	streams := make([]*eventStream, len(both))
	for i, n := range both {
		streams[i] = n.follow("", "X-Tenant", n.name)
		streams[i].wantEvent("start")
	}
	for range 3 {
		for i, n := range both {
			n.call("POST", "api/requests/"+n.request+"/rerun", "{}").want(t, 200, nil)
			if row := streams[i].row(); row.WebhookID != n.webhook {
				t.Errorf("%s gets %+v", n.name, row)
			}
		}
	}
	for i, n := range both {
		streams[i].none(n.name)
	}
	// Another tenant's place is unknown.
	other := both[0].follow("?last_event_id="+streams[1].last, "X-Tenant", both[0].name)
	other.wantEvent("start")
	other.wantEvent("reset")
	both[1].call("POST", "api/requests/"+both[1].request+"/rerun", "{}").want(t, 200, nil)
	both[0].call("POST", "api/requests/"+both[0].request+"/rerun", "{}").want(t, 200, nil)
	if row := other.row(); row.WebhookID != both[0].webhook {
		t.Errorf("%s gets %+v", both[0].name, row)
	}
}

// TestStreamUnknownPlace resumes streams at places that are not known.
func TestStreamUnknownPlace(t *testing.T) {
	onBothStores(t, func(t *testing.T, store string) {
		endpoint := newReceiver(t)
		s := startSite(t, siteConfig{webhooks: endpoint.configOf(store)})
		s.subscribe(endpoint)
		first := s.follow("")
		known := first.wantEvent("start").id
		s.emitMany(1)
		row := first.row().ID
		for _, tc := range []struct{ query, header string }{
			{"?last_event_id=nonsense", ""}, {"", "1-1"}, {"", "\xff\xfe"}, {"?last_event_id=%0Aevent:x", ""}, {"?last_event_id=" + known, "0-0"},
		} {
			lost := s.follow(tc.query, "Last-Event-ID", tc.header)
			lost.wantEvent("start")
			place := lost.wantEvent("reset").id
			back := s.follow("?last_event_id=nonsense", "Last-Event-ID", place)
			back.wantEvent("start")
			s.emitMany(1)
			if a, b := lost.row(), back.row(); a.ID != b.ID || a.ID == row {
				t.Errorf("after a reset come %s and %s", a.ID, b.ID)
			}
			lost.cancel()
			back.cancel()
		}
	})
}

// TestStreamCompressed has Caddy compress a stream. Its events come at once all the same.
func TestStreamCompressed(t *testing.T) {
	endpoint := newReceiver(t)
	s := startSite(t, siteConfig{webhooks: endpoint.configOf("embedded " + t.TempDir()), more: "encode"})
	s.subscribe(endpoint)
	plain := s.follow("", "Accept-Encoding", "identity")
	compressed := s.follow("") // net/http asks for gzip, and hides it
	for _, e := range []*eventStream{plain, compressed} {
		e.wantEvent("start")
	}
	if !compressed.compressed || plain.compressed {
		t.Errorf("the streams are compressed: %t and %t, want only the first", compressed.compressed, plain.compressed)
	}
	for range 3 {
		s.emitMany(1)
		if a, b := plain.row(), compressed.row(); a.ID != b.ID {
			t.Errorf("got %s and %s", a.ID, b.ID)
		}
	}
}

// TestStreamLimited has a server limit how long an answer may take. A client that resumes
// the stream each time misses nothing.
func TestStreamLimited(t *testing.T) {
	endpoint := newReceiver(t)
	s := startSite(t, siteConfig{
		webhooks: endpoint.configOf("embedded " + t.TempDir()),
		// Other calls have to be answered within the limit, too.
		global: "servers {\ntimeouts {\nread_body 1s\nwrite 1s\n}\n}",
	})
	s.subscribe(endpoint)
	f := s.keepFollowing("")
	for f.ends() < 3 {
		s.emitMany(1)
		time.Sleep(100 * time.Millisecond) // waits for the limit to end the stream
	}
	f.wantLog()
}

// TestStreamGoroutines checks that no goroutine stays when clients have left.
func TestStreamGoroutines(t *testing.T) {
	onBothStores(t, func(t *testing.T, store string) {
		endpoint := newReceiver(t)
		s := startSite(t, siteConfig{webhooks: endpoint.configOf(store)})
		s.subscribe(endpoint)
		s.follow("").cancel()
		s.emitMany(1)
		endpoint.next(t)
		http.DefaultClient.CloseIdleConnections()
		goroutines := runtime.NumGoroutine()
		var streams []*eventStream
		for range 20 {
			streams = append(streams, s.follow(""))
			streams[len(streams)-1].wantEvent("start")
		}
		s.emitMany(1)
		for _, e := range streams {
			e.row()
			e.cancel()
		}
		http.DefaultClient.CloseIdleConnections()
		eventually(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= goroutines })
	})
}
