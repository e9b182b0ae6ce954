package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

const (
	replayed    = 400 // deliveries
	replayKills = 3
	// replaysShare is how many requests of a replay Caddy may have in flight to a webhook: a quarter
	// of its concurrency, which is 16.
	replaysShare = 4
)

// TestCrashInReplay kills the Caddy that works off a replay, again and again: one of two on one Redis,
// or the only one of an embedded store. In the end each delivery was sent, nothing was sent twice but
// what was in flight, and the progress is exact.
func TestCrashInReplay(t *testing.T) {
	for _, status := range []string{"failed", "missed"} {
		t.Run("redis/"+status, func(t *testing.T) {
			t.Parallel()
			server, clock := redistest.StartWithClock(t)
			ahead := time.Duration(0)
			testCrashInReplay(t, status, "redis redis://"+server.Addr, 2, func() {
				ahead += 2 * time.Minute // a lease lasts 45 s
				clock.Set(t, ahead)
			})
		})
		t.Run("embedded/"+status, func(t *testing.T) {
			t.Parallel()
			testCrashInReplay(t, status, "embedded "+t.TempDir(), 1, func() {}) // leases end with the process
		})
	}
}

// testCrashInReplay calls endLeases when whoever held the replay was killed.
func testCrashInReplay(t *testing.T, status, store string, caddys int, endLeases func()) {
	r := &replayCrash{t: t, endpoint: newReceiver(t), answers: make(chan struct{}), arrived: make(map[string]int)}
	for i := range caddys {
		own := fmt.Sprintf("timeout 30s\nconcurrency 64 16\nsignature_header %s\n", signedBy(i))
		r.all = append(r.all, newCrasherWith(t, own+r.endpoint.configOf(store)))
		r.all[i].start()
	}
	id := r.start(status)
	for range replayKills {
		holder := r.answer(replayed / (replayKills + 2))
		time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond) // the moment is the point
		holder.kill()
		endLeases()
		holder.start()
	}
	close(r.answers)
	r.wantWhole(id)
}

// replayCrash is a replay to one webhook, worked off by Caddys that are killed.
type replayCrash struct {
	t        *testing.T
	endpoint *receiver
	answers  chan struct{} // one request is answered for each, and all once it is closed
	all      []*crasher
	last     *crasher       // whoever sent what arrived last
	arrived  map[string]int // how often each event has, since the replay began
}

// signedBy is the header that the requests of one Caddy have, and those of no other.
func signedBy(i int) string { return fmt.Sprint("X-Signed-By-", i) }

// call calls the API, and reads some members of the answer.
func (r *replayCrash) call(method, path, body string, status int, v any) {
	r.t.Helper()
	got := do(r.t, method, r.all[0].url(path), body, "Authorization", asAdmin)
	got.want(r.t, status, nil)
	if err := json.Unmarshal(got.body, v); err != nil {
		r.t.Fatal(err)
	}
}

// start makes deliveries to send again, and starts a replay of them.
func (r *replayCrash) start(status string) (id string) {
	r.t.Helper()
	var webhook struct{ ID string }
	subscribe := func() {
		r.call(http.MethodPost, "webhooks", fmt.Sprintf(`{"url":%q,"secret":"a secret of 16 bytes"}`, r.endpoint.URL+"/"), http.StatusCreated, &webhook)
	}
	emit := func() {
		var receipts []receipt
		events := strings.Repeat(`{"event_type":"alert_active","data":{}},`, replayed)
		r.call(http.MethodPost, "events", "["+strings.TrimSuffix(events, ",")+"]", http.StatusAccepted, &receipts)
	}
	if status == "missed" {
		emit()
		subscribe()
	} else {
		r.endpoint.answer(http.StatusInternalServerError)
		subscribe()
		emit()
	}
	asked := fmt.Sprintf(`{"status":%q,"webhook_id":%q,"since":"2020-01-01T00:00:00Z"`, status, webhook.ID)
	eventually(r.t, "all deliveries to be there for the replay", func() bool {
		var counted struct{ Total int }
		r.call(http.MethodPost, "replays", asked+`,"dry_run":true}`, http.StatusOK, &counted)
		return counted.Total == replayed
	})
	for len(r.endpoint.got) > 0 {
		<-r.endpoint.got
	}
	r.endpoint.answer(http.StatusOK)
	r.endpoint.mu.Lock()
	r.endpoint.held["/"] = r.answers
	r.endpoint.mu.Unlock()
	var started struct{ ID string }
	r.call(http.MethodPost, "replays", asked+"}", http.StatusAccepted, &started)
	return started.ID
}

// answer has so many requests answered, and returns whoever sends them. Others wait for an answer then.
func (r *replayCrash) answer(requests int) *crasher {
	r.t.Helper()
	for answered := 0; answered < requests; {
		select {
		case r.answers <- struct{}{}:
			answered++
		case got := <-r.endpoint.got:
			r.note(got)
		case <-time.After(patience):
			r.t.Fatal("waited in vain for a request of the replay")
		}
	}
	return r.last
}

func (r *replayCrash) note(got received) {
	r.t.Helper()
	var sent struct {
		ID string `json:"event_id"`
	}
	if err := json.Unmarshal(got.body, &sent); err != nil {
		r.t.Fatal(err)
	}
	r.arrived[sent.ID]++
	for i, c := range r.all {
		if got.header.Get(signedBy(i)) != "" {
			r.last = c
		}
	}
}

// wantWhole waits until the replay has ended, and compares what it says, what is in the log, and what
// has arrived.
func (r *replayCrash) wantWhole(id string) {
	r.t.Helper()
	var now struct {
		State                          string
		Total, Done, Succeeded, Failed int
	}
	eventually(r.t, "the replay to end", func() bool {
		r.call(http.MethodGet, "replays/"+id, "", http.StatusOK, &now)
		return now.State != "running"
	})
	if now.State != "done" || now.Total != replayed || now.Done != replayed || now.Succeeded != replayed || now.Failed != 0 {
		r.t.Errorf("the replay of %d deliveries is %+v", replayed, now)
	}
	rows := 0
	for cursor := ""; ; {
		var page requestList
		r.call(http.MethodGet, "requests?trigger=replay&limit=200"+cursor, "", http.StatusOK, &page)
		rows += len(page.Data)
		if page.NextCursor == nil {
			break
		}
		cursor = "&cursor=" + *page.NextCursor
	}
	for len(r.endpoint.got) > 0 {
		r.note(<-r.endpoint.got)
	}
	again := 0
	for _, n := range r.arrived {
		again += n - 1
	}
	if len(r.arrived) != replayed || rows != replayed || again > replayKills*replaysShare {
		r.t.Errorf("%d of %d deliveries were sent, %d of them again, and the log has %d requests", len(r.arrived), replayed, again, rows)
	}
	r.t.Logf("%d deliveries were sent again after %d crashes", again, replayKills)
}
