package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// load is emitters at work while something happens to Caddy.
type load struct {
	end      chan struct{}
	emitting sync.WaitGroup

	mu       sync.Mutex
	accepted map[string]bool // the events answered with 202
}

// startLoad emits events, over connections that are kept and over new ones,
// until stop is called. Every answer but 202 fails the test, unless it is one
// that may be.
func (s *caddySite) startLoad(mayBe func(reply) bool) *load {
	l := &load{end: make(chan struct{}), accepted: make(map[string]bool)}
	for i := range 4 {
		headers := []string{"Authorization", asEmitter}
		if i%2 == 0 {
			headers = append(headers, "Connection", "close")
		}
		l.emitting.Go(func() {
			for l.goesOn() {
				id := uuid.NewString()
				got, err := s.persist(http.MethodPost, "/hooks/api/events",
					fmt.Sprintf(`{"event_type":"group_created","event_id":%q,"data":{}}`, id), headers...)
				switch {
				case err == nil && got.status == http.StatusAccepted:
					l.mu.Lock()
					l.accepted[id] = true
					l.mu.Unlock()
				case err != nil || mayBe == nil || !mayBe(got):
					s.t.Errorf("emit: got %d, %v: %s", got.status, err, got.body)
					return
				}
			}
		})
	}
	s.t.Cleanup(func() { l.stop() })
	return l
}

// persist repeats a call that nobody answered. That an event has an id of its
// own keeps it from being stored twice.
func (s *caddySite) persist(method, path, body string, headers ...string) (reply, error) {
	for {
		got, err := try(method, "http://"+s.addr+path, body, headers...)
		if err == nil || !unanswered(err) {
			return got, err
		}
	}
}

func (l *load) goesOn() bool {
	select {
	case <-l.end:
		return false
	default:
		return true
	}
}

// some waits until so many more events have been accepted.
func (l *load) some(t *testing.T, n int) {
	t.Helper()
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.accepted)
	}
	before := count()
	eventually(t, "events to be accepted", func() bool { return t.Failed() || count() >= before+n })
}

// stop returns the events that were accepted once no more are emitted. It may be
// called again.
func (l *load) stop() (accepted []string) {
	if l.goesOn() {
		close(l.end)
	}
	l.emitting.Wait()
	return slices.Sorted(maps.Keys(l.accepted))
}

// emitMany emits n events in one call, more than are sent at a time.
func (s *caddySite) emitMany(n int) (accepted []string) {
	s.t.Helper()
	events := make([]string, n)
	for i := range events {
		events[i] = fmt.Sprintf(`{"event_type":"group_updated","event_id":%q,"data":{}}`, uuid.NewString())
	}
	var receipts []receipt
	s.emit("["+strings.Join(events, ",")+"]").want(s.t, http.StatusAccepted, &receipts)
	for _, r := range receipts {
		accepted = append(accepted, r.EventID)
	}
	return accepted
}

// tally counts the requests that a receiver gets, by event.
type tally struct {
	t        *testing.T
	receiver *receiver
	counts   map[string]int
}

// count takes over what the receiver gets.
func count(t *testing.T, r *receiver) *tally {
	return &tally{t: t, receiver: r, counts: make(map[string]int)}
}

// take counts what has come until now.
func (c *tally) take() map[string]int {
	c.t.Helper()
	for {
		select {
		case got := <-c.receiver.got:
			var e event
			if err := json.Unmarshal(got.body, &e); err != nil {
				c.t.Fatalf("%v in %s", err, got.body)
			}
			c.counts[e.EventID]++
		default:
			return c.counts
		}
	}
}

// of is how many of the events have arrived.
func (c *tally) of(events []string) (n int) {
	c.t.Helper()
	counts := c.take()
	for _, id := range events {
		if counts[id] > 0 {
			n++
		}
	}
	return n
}

// wantAll waits until the events have arrived.
func (c *tally) wantAll(events []string) {
	c.t.Helper()
	eventually(c.t, fmt.Sprintf("%d events to arrive", len(events)), func() bool { return c.of(events) == len(events) })
}

// wantOnce fails the test if any event was sent more than once.
func (c *tally) wantOnce() {
	c.t.Helper()
	for id, n := range c.take() {
		if n > 1 {
			c.t.Errorf("event %s was sent %d times", id, n)
		}
	}
}

// wantOneRowEach waits until the log has a successful first attempt of each
// event, and fails the test if it has anything else.
func (s *caddySite) wantOneRowEach(events []string) {
	s.t.Helper()
	var rows []request
	eventually(s.t, fmt.Sprintf("%d rows of the log", len(events)), func() bool {
		rows = s.wholeLog()
		return len(rows) >= len(events)
	})
	missing := make(map[string]bool)
	for _, id := range events {
		missing[id] = true
	}
	for _, row := range rows {
		if !missing[row.EventID] || row.Attempt == nil || *row.Attempt != 1 || row.Status != "success" {
			s.t.Errorf("the log has one too many: %+v", row)
		}
		delete(missing, row.EventID)
	}
}

func (s *caddySite) wholeLog() (rows []request) {
	s.t.Helper()
	for path := "api/requests?limit=200"; ; {
		var list requestList
		s.admin(http.MethodGet, path, "").want(s.t, http.StatusOK, &list)
		rows = append(rows, list.Data...)
		if list.NextCursor == nil {
			return rows
		}
		path = "api/requests?limit=200&cursor=" + *list.NextCursor
	}
}

// redisConnections returns what lists the ids of the connections to a Redis, but
// for its own.
func redisConnections(t *testing.T, redis *redistest.Server) func() []string {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: redis.Addr})
	t.Cleanup(func() { _ = client.Close() })
	return func() (ids []string) {
		t.Helper()
		list, err := client.ClientList(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(list) {
			if id, _, ok := strings.Cut(line, " "); ok && !strings.Contains(line, " cmd=client|list ") {
				ids = append(ids, id)
			}
		}
		return ids
	}
}
