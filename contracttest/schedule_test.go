package contracttest

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestManyCaddys has Caddys share a store whose deliveries fail. Each may make any
// attempt, but no attempt is made twice, and no delivery has two at a time.
func TestManyCaddys(t *testing.T) {
	t.Parallel()
	const caddys, events, attempts = 3, 40, 4
	var (
		mu       sync.Mutex
		inFlight = map[string]bool{}
	)
	r := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		event := req.Header.Get("Webhook-Id")
		mu.Lock()
		if inFlight[event] {
			t.Errorf("two attempts of the delivery of %s at a time", event)
		}
		inFlight[event] = true
		mu.Unlock()
		time.Sleep(20 * time.Millisecond) // so that a second attempt would overlap
		mu.Lock()
		inFlight[event] = false
		mu.Unlock()
		w.WriteHeader(500)
	}))
	t.Cleanup(r.Close)
	options := ownStore() + fmt.Sprintf("standard_webhooks\nretry {\nattempts %d\ndelay 10ms\njitter 0s 20ms\n}\n", attempts) +
		destinations("allow_http", "allow 127.0.0.0/8")
	tenant := uuid.NewString()
	var clients []client
	for range caddys {
		clients = append(clients, start(t, options).mount("tenants", "Authorization", "Bearer "+adminToken, "X-Tenant", tenant))
	}
	clients[0].webhook(t, r.URL)
	for i := range events {
		clients[i%caddys].emit(t)
	}
	c := clients[0]
	eventually(t, "the last attempts", func() bool { return len(c.requests(t, "?limit=200")) >= events*attempts })
	made := map[string]int{}
	for _, q := range c.requests(t, "?limit=200") {
		made[text(q["event_id"])+" "+quote(q["attempt"])]++
	}
	if len(made) != events*attempts {
		t.Errorf("%d different attempts, want %d: %v", len(made), events*attempts, made)
	}
	for attempt, n := range made {
		if n != 1 {
			t.Errorf("attempt %s was made %d times", attempt, n)
		}
	}
}

// TestSlowEndpointsDelayNoOther has endpoints that do not answer while the test runs,
// and some where nothing listens. The timeout is longer than the test, so that requests
// to the healthy endpoint get through only if those to the others leave room.
func TestSlowEndpointsDelayNoOther(t *testing.T) {
	t.Parallel()
	const hanging, dead, events = 20, 5, 60
	c := start(t, ownStore()+"timeout 10m\n"+destinations("allow_http", "allow 127.0.0.0/8")).admin()
	release := make(chan struct{})
	for i := range hanging + dead {
		r := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
		t.Cleanup(r.Close)
		if i < dead {
			r.Close()
		}
		c.webhook(t, r.URL)
	}
	t.Cleanup(func() { close(release) }) // runs before the servers are closed
	healthy := receive(t, nil)
	w := c.webhook(t, healthy.URL)
	for range events {
		if receipt := c.emit(t); number(receipt["deliveries"]) != hanging+dead+1 {
			t.Fatalf("%v", receipt)
		}
	}
	healthy.await(t, events)
	if q := c.must(t, 200, "POST", "/api/webhooks/"+text(w["id"])+"/test", "{}"); q["status"] != "success" {
		t.Errorf("a test of the healthy endpoint: %v", q)
	}
}

// TestDeleteEndsPending deletes a webhook while its first attempt is under way.
func TestDeleteEndsPending(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	release, arrived := make(chan struct{}), make(chan struct{})
	r := receive(t, func(n int, w http.ResponseWriter) {
		if n == 1 {
			close(arrived)
			<-release
		}
		w.WriteHeader(500)
	})
	w := c.webhook(t, r.URL)
	event := c.emit(t)
	<-arrived
	c.must(t, 204, "DELETE", "/api/webhooks/"+text(w["id"]), "")
	close(release)
	// Another delivery runs through all its attempts meanwhile.
	control := receive(t, status(500))
	c.webhook(t, control.URL)
	c.awaitDelivery(t, c.emit(t)["event_id"], "failed")
	r.await(t, 1)
	for query, want := range map[string]int{"": 3, "?event_id=" + text(event["event_id"]): 0, "?webhook_id=" + text(w["id"]): 0} {
		if found := c.requests(t, query); len(found) != want {
			t.Errorf("%s finds %d requests, want %d", query, len(found), want)
		}
	}
	for _, d := range list(c.must(t, 200, "GET", "/api/events/"+text(event["event_id"]), "")["deliveries"]) {
		if d["status"] == "pending" {
			t.Errorf("still pending: %v", d)
		}
	}
}

// TestRerunDuringAnAttempt has a re-run end a delivery while its second attempt is
// under way: that attempt is logged, but no longer counts.
func TestRerunDuringAnAttempt(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]int{"fails": 500, "succeeds": 202} {
		t.Run("that "+name, func(t *testing.T) {
			t.Parallel()
			c := fast.admin()
			release, arrived := make(chan struct{}), make(chan struct{})
			r := receive(t, func(n int, w http.ResponseWriter) {
				switch n {
				case 1:
					w.WriteHeader(500)
				case 2:
					close(arrived)
					<-release
					w.WriteHeader(answer)
				}
			})
			c.webhook(t, r.URL)
			event := c.emit(t)["event_id"]
			<-arrived
			first := c.awaitRequests(t, "", 1)[0]
			c.must(t, 200, "POST", "/api/requests/"+text(first["id"])+"/rerun", "")
			ended := c.delivery(t, event)
			if ended["status"] != "success" || number(ended["attempts"]) != 1 || ended["next_attempt_at"] != nil {
				t.Errorf("ended by the re-run: %v", ended)
			}
			close(release)
			all := c.awaitRequests(t, "", 3)
			late := all[1]
			if late["trigger"] != "retry" || number(late["attempt"]) != 2 || number(late["status_code"]) != float64(answer) || late["next_attempt_at"] != nil {
				t.Errorf("the attempt that was under way: %v", late)
			}
			// Another delivery runs through all its attempts meanwhile.
			control := receive(t, status(500))
			c.webhook(t, control.URL, `"event_types":["group_created"]`)
			c.must(t, 202, "POST", "/api/events", `{"event_type":"group_created","data":{}}`)
			control.await(t, 3)
			if d := c.delivery(t, event); quote(d) != quote(ended) {
				t.Errorf("%v, was %v", d, ended)
			}
			if found := c.requests(t, "?event_id="+text(event)); len(found) != 3 {
				t.Errorf("%d requests", len(found))
			}
		})
	}
}

// TestRerunThatFailsLeavesTheSchedule has re-runs fail between the attempts: every
// attempt is made all the same.
func TestRerunThatFailsLeavesTheSchedule(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	r := receive(t, status(500))
	c.webhook(t, r.URL)
	event := c.emit(t)["event_id"]
	var first object
	eventually(t, "the first attempt", func() bool {
		found := c.requests(t, "?event_id="+text(event))
		if len(found) > 0 {
			first = found[len(found)-1]
		}
		return first != nil
	})
	const reruns = 3
	for range reruns {
		c.must(t, 200, "POST", "/api/requests/"+text(first["id"])+"/rerun", "")
	}
	if d := c.awaitDelivery(t, event, "failed"); number(d["attempts"]) != 3 {
		t.Errorf("%v", d)
	}
	attempt := 0
	for _, q := range c.awaitRequests(t, "", 3+reruns) {
		if q["trigger"] == "rerun" {
			continue
		}
		if attempt++; number(q["attempt"]) != float64(attempt) {
			t.Errorf("attempt %d is %v", attempt, q)
		}
	}
	r.await(t, 3+reruns)
}

// TestChangedSecret changes the secret after each request: the next request is signed
// with the new one.
func TestChangedSecret(t *testing.T) {
	t.Parallel()
	c := slow.admin() // the next attempt is due in an hour
	r := receive(t, status(500))
	one := "/api/webhooks/" + text(c.webhook(t, r.URL, `"secret":"first"`)["id"])
	c.emit(t)
	q := c.awaitRequests(t, "", 1)[0]
	for _, change := range []string{`{"secret":"second"}`, `{"secret":null}`, `{"secret":"third"}`} {
		c.must(t, 200, "PATCH", one, change)
		c.must(t, 200, "POST", "/api/requests/"+text(q["id"])+"/rerun", "")
	}
	for i, got := range r.await(t, 4) {
		secret, want := []string{"first", "second", "", "third"}[i], ""
		if secret != "" {
			want = "sha256=" + hex.EncodeToString(mac([]byte(secret), got.body))
		}
		if signed := got.header.Get("X-Other-Signature"); signed != want {
			t.Errorf("signed %q with the secret %q", signed, secret)
		}
	}
}
