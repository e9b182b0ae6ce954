package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webhooks/caddy-webhooks/caddymodule"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// onRedis has the events of an emitSite in a Redis.
func (s *emitSite) onRedis(addr, options string) {
	s.t.Helper()
	s.config.webhooks = s.endpoint.config(addr) + options
	if err := s.load(s.config); err != nil {
		s.t.Fatal(err)
	}
	s.subscribe(s.endpoint)
}

// numbered answers with the number of the request.
func numbered(count *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Product", "yes")
		w.Header().Set("Etag", `"1"`)
		fmt.Fprintf(w, `{"n":%d}`, count.Add(1))
	}
}

// TestEmitStrict takes the store away from a strict handler: no answer without its event, and
// no request twice.
func TestEmitStrict(t *testing.T) {
	var asked atomic.Int64
	s := startEmitSite(t, numbered(&asked), "", `
		webhooks_emit /response device_created {
			strict
		}
		webhooks_emit /request device_created {
			strict
			data request
		}
		reverse_proxy $product
	`)
	redis := redistest.Start(t)
	s.onRedis(redis.Addr, "")
	for i, path := range []string{"/response", "/request"} {
		got := s.do(http.MethodPost, path, `{"n":7}`)
		got.want(t, http.StatusOK, nil)
		if want := fmt.Sprintf(`{"n":%d}`, i+1); string(got.body) != want || got.header.Get("X-Product") != "yes" {
			t.Errorf("%s: got %q, want %q", path, got.body, want)
		}
		s.event()
	}
	redis.Kill()
	for _, path := range []string{"/response", "/request", "/response"} {
		before := asked.Load()
		got := s.do(http.MethodPost, path, `{"n":7}`, "X-Request", path)
		if p := got.wantProblem(t, http.StatusBadGateway); !strings.Contains(p.Detail, "could not be stored") {
			t.Errorf("%s: %s", path, got.body)
		}
		if got.header.Get("X-Product") != "" || got.header.Get("Etag") != "" {
			t.Errorf("%s: the refusal has headers of the application: %v", path, got.header)
		}
		if n := asked.Load() - before; n != 1 {
			t.Errorf("%s: the application got %d requests", path, n)
		}
	}
	s.do(http.MethodPost, "/other", "").want(t, http.StatusOK, nil)
	if err := redis.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the answers to pass again", func() bool {
		return s.do(http.MethodPost, "/response", "").status == http.StatusOK
	})
}

// TestEmitStoreAway takes the store away: clients notice nothing, and no event is lost.
func TestEmitStoreAway(t *testing.T) {
	const requests = 300
	var asked atomic.Int64
	s := startEmitSite(t, numbered(&asked), "", `
		webhooks_emit /response device_created
		reverse_proxy $product
	`)
	redis := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	s.onRedis(redis.Addr, "")
	before := s.counted()
	redis.Kill()
	for range requests {
		s.do(http.MethodPost, "/response", "").want(t, http.StatusOK, nil)
	}
	eventually(t, "health to say that events wait", func() bool {
		got := s.admin(http.MethodGet, "api/health", "")
		return got.status == http.StatusServiceUnavailable
	})
	eventually(t, "the log to say that events wait", func() bool {
		log, err := os.ReadFile(s.log)
		return err == nil && strings.Contains(string(log), "events from traffic wait for the store")
	})
	if err := s.load(s.config); err != nil { // what waits outlives a reload
		t.Fatal(err)
	}
	if n := scrape(t, "http://"+s.addr+"/metrics")["gateway_events_waiting"]; n != requests {
		t.Errorf("%v events wait, want %d", n, requests)
	}
	if err := redis.Restart(); err != nil {
		t.Fatal(err)
	}
	seen := make(map[int]bool)
	for len(seen) < requests {
		var data struct{ N int }
		if err := json.Unmarshal(s.event().Data, &data); err != nil {
			t.Fatal(err)
		}
		seen[data.N] = true
	}
	s.ready()
	after := s.counted()
	if lost := after["dropped"] - before["dropped"]; lost != 0 || after["emitted"]-before["emitted"] != requests {
		t.Errorf("%v events lost, %v emitted", lost, after["emitted"]-before["emitted"])
	}
	if n := scrape(t, "http://"+s.addr+"/metrics")["gateway_memory_bytes"]; n != 0 {
		t.Errorf("the queue is empty and has %v bytes", n)
	}
}

// TestEmitQueueFull fills the queue: clients notice nothing, what is lost is counted, and told
// once.
func TestEmitQueueFull(t *testing.T) {
	s := startEmitSite(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"x":"`+strings.Repeat("x", 100<<10)+`"}`)
	}, "", `
		webhooks_emit /response device_created
		reverse_proxy $product
	`)
	redis := redistest.Start(t)
	s.onRedis(redis.Addr, "emit_queue 1MiB\n")
	before := s.counted()
	caddymodule.ForgetOutcomes()
	redis.Kill()
	const requests = 20
	for range requests {
		s.do(http.MethodGet, "/response", "").want(t, http.StatusOK, nil)
	}
	lost := s.counted()["dropped"] - before["dropped"]
	if lost < requests/2 || lost > requests-2 {
		t.Errorf("%v of %d events lost", lost, requests)
	}
	const line = "events from traffic were lost"
	if n := s.lines(line); n != 1 {
		t.Errorf("the log says %d times that events were lost", n)
	}
	if err := caddy.Stop(); err != nil { // which cannot store the others
		t.Fatal(err)
	}
	if n := s.lines(line); n != 2 {
		t.Errorf("the log says %d times that events were lost, after Caddy stopped", n)
	}
}

// lines counts the lines of the log with a text.
func (s *caddySite) lines(text string) int {
	log, err := os.ReadFile(s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Count(string(log), text)
}

// TestEmitFlush stops Caddy right after an answer: its event is stored all the same.
func TestEmitFlush(t *testing.T) {
	var asked atomic.Int64
	s := startEmitSite(t, numbered(&asked), "", `
		webhooks_emit /response device_created
		reverse_proxy $product
	`)
	redis := redistest.Start(t)
	s.onRedis(redis.Addr, "")
	const requests = 50
	for range requests {
		s.do(http.MethodPost, "/response", "").want(t, http.StatusOK, nil)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.load(s.config); err != nil {
		t.Fatal(err)
	}
	s.ready()
	s.requests("limit=200", requests)
}
