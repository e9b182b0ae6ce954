//go:build chaos && linux

package chaos

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// onRedis are the scenarios with one Redis.
func onRedis() []scenario {
	const store = "redis, always"
	start := standalone("always")
	return []scenario{
		{name: "kill -9 of Redis", store: store, start: start, play: killRedis(8)},
		{name: "kill -9 of Redis", store: "redis, everysec", start: standalone("everysec"), play: killRedis(8)},
		{name: "Redis hangs for 40 s", store: store, start: start, play: hangRedis(40 * time.Second)},
		{name: "no Redis for a minute", store: store, start: start, play: leaveRedis(long)},
		{name: "scripts are flushed", store: store, start: start, play: disturb("SCRIPT FLUSH", "script", "flush")},
		{name: "connections are killed", store: store, start: start, play: disturb("CLIENT KILL", "client", "kill", "type", "normal", "skipme", "yes")},
		{name: "CLIENT PAUSE of 8 s", store: store, start: start, play: pauseClients(8 * time.Second)},
		{name: "Redis is full", store: store, start: start, play: fillRedis(5 * time.Second)},
		{name: "FLUSHALL", store: store, start: start, play: flushAll},
		{name: "answers are lost", store: store, start: proxied, play: loseAnswers(20 * time.Second)},
		{name: "the network is mute", store: store, start: proxied, play: network(weather{mute: true}, 8*time.Second)},
		{name: "the network is slow", store: store, start: proxied, play: network(weather{delay: 300 * time.Millisecond}, 8*time.Second)},
		{name: "the network is cut", store: store, start: proxied, play: network(weather{cutOff: everybody}, 8*time.Second)},
		{name: "reloads", store: store, start: start, play: reload(20)},
		{name: fmt.Sprintf("kill -9 of Caddy, %d times", *rounds), store: store, start: start, play: killCaddys(*rounds), pace: killPace},
	}
}

// leaveRedis takes Redis away for a while. Caddy may not grow for it.
func leaveRedis(d time.Duration) func(s *stage) {
	const mega = 1 << 20
	return func(s *stage) {
		s.some(2*time.Second, 3*time.Second)
		before, lines := s.memory(), len(s.caddys[0].lines())
		most := before
		var returned time.Time
		s.fault("no Redis", repeats, func() {
			s.redis.Kill()
			s.unwell()
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
				most = max(most, s.memory())
			}
			s.must(s.redis.Restart())
			returned = time.Now()
		})
		s.served()
		s.some(time.Second, 2*time.Second)
		s.note("Caddy grew by %.0f MB and printed %d lines", (most-before)/mega, len(s.caddys[0].lines())-lines)
		s.note("deliveries go on after %.1f s", s.firstArrival(returned).Sub(returned).Seconds())
		if most > before+512*mega {
			s.t.Errorf("Caddy grew from %.0f to %.0f MB", before/mega, most/mega)
		}
	}
}

// memory is how many bytes the first Caddy has in memory.
func (s *stage) memory() float64 {
	s.t.Helper()
	n, err := s.caddys[0].metric(s.t.Context(), "process_resident_memory_bytes")
	s.must(err)
	return n
}

// firstArrival is when the first request arrived since a moment.
func (s *stage) firstArrival(since time.Time) (first time.Time) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	for _, e := range s.ledger.events {
		for _, a := range e.arrivals {
			if a.at.After(since) && (first.IsZero() || a.at.Before(first)) {
				first = a.at
			}
		}
	}
	return first
}

// disturb sends Redis a command twenty times. It does no harm beyond what it breaks off.
func disturb(what string, command ...any) func(s *stage) {
	return func(s *stage) {
		for range 20 {
			s.some(50*time.Millisecond, 400*time.Millisecond)
			s.fault(what, repeats, func() { s.must(s.client.Do(s.t.Context(), command...).Err()) })
		}
		s.served()
	}
}

func pauseClients(d time.Duration) func(s *stage) {
	return func(s *stage) {
		s.some(time.Second, 2*time.Second)
		s.fault("CLIENT PAUSE", repeats, func() {
			s.must(s.client.Do(s.t.Context(), "client", "pause", d.Milliseconds(), "all").Err())
			time.Sleep(d)
		})
		s.served()
	}
}

// fillRedis takes away all of Redis's room, and gives it back.
func fillRedis(d time.Duration) func(s *stage) {
	return func(s *stage) {
		s.some(time.Second, 2*time.Second)
		s.fault("a full Redis", 0, func() {
			s.must(s.client.ConfigSet(s.t.Context(), "maxmemory", "1").Err())
			s.refused()
			s.unwell()
			time.Sleep(d)
			s.must(s.client.ConfigSet(s.t.Context(), "maxmemory", "0").Err())
		})
		s.served()
	}
}

// refused waits until no event is accepted any more.
func (s *stage) refused() {
	s.t.Helper()
	const quiet = time.Second
	eventually(s.t, "events to be refused", func() error {
		s.ledger.mu.Lock()
		defer s.ledger.mu.Unlock()
		calls := s.ledger.calls
		if n := len(calls); n == 0 || calls[n-1].outcome == acknowledged {
			return fmt.Errorf("%d calls, the last one not refused", n)
		}
		for i := len(calls) - 1; i >= 0 && time.Since(calls[i].end) < quiet; i-- {
			if calls[i].outcome == acknowledged {
				return fmt.Errorf("an event was accepted")
			}
		}
		return nil
	})
}

// flushAll empties Redis, and creates the webhooks again after a while. What was emitted
// before is lost, by order of the admin.
func flushAll(s *stage) {
	s.some(time.Second, 2*time.Second)
	s.fault("FLUSHALL", repeats|forgets, func() {
		s.must(s.client.FlushAll(s.t.Context()).Err())
		s.forgiven = time.Now()
	})
	s.some(time.Second, 2*time.Second)
	s.subscribe()
	created := time.Now()
	s.served()
	eventually(s.t, "deliveries to go on", func() error {
		if s.firstArrival(created).IsZero() {
			return fmt.Errorf("nothing has arrived")
		}
		return nil
	})
	s.some(time.Second, 2*time.Second)
}

// network changes the weather between Caddy and Redis for a while.
func network(w weather, d time.Duration) func(s *stage) {
	return func(s *stage) {
		s.some(time.Second, 2*time.Second)
		s.fault("a bad network", repeats, func() {
			s.proxy.become(w)
			time.Sleep(d)
			s.proxy.become(weather{})
		})
		s.served()
	}
}

// reload loads the configurations of the Caddys again, by turns.
func reload(times int) func(s *stage) {
	return func(s *stage) {
		for i := range times {
			s.some(50*time.Millisecond, 600*time.Millisecond)
			s.fault("reload", 0, func() { s.must(s.caddys[i%len(s.caddys)].reload()) })
		}
		s.served()
	}
}

// TestEviction starts Caddy with a Redis that may evict what was accepted. The store must
// not open until Redis may no longer do so.
func TestEviction(t *testing.T) {
	s := &stage{t: t}
	s.startRedis("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	c := newCaddy(t, "Caddy", "redis redis://"+s.redis.Addr)
	c.start()
	eventually(t, "health to say that Redis may evict", func() error {
		r, err := do(t.Context(), http.MethodGet, c.api+"/health", tenantName(0), nil)
		if err != nil {
			return err
		}
		if r.status != http.StatusServiceUnavailable || !strings.Contains(string(r.body), "evict") {
			return fmt.Errorf("it says %d %s", r.status, r.body)
		}
		return nil
	})
	s.must(s.client.ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err())
	c.ready()
	table.add(result{scenario: "Redis may evict", store: "redis", notes: []string{"the store opens once it may not"}})
}
