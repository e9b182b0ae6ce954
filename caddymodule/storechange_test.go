package caddymodule_test

import (
	"net/http"
	"runtime"
	"slices"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// backlog is more than goes out before a reload.
const backlog = 1000

// TestChangedStore goes to another store and back, under load: no call is
// refused, what one store has waits there, and what a store took is sent once.
func TestChangedStore(t *testing.T) {
	first := redistest.Start(t)
	for name, second := range map[string]string{
		"database":   first.Addr + "/1",
		"key prefix": first.Addr + " {\nkey_prefix other\n}",
		"server":     redistest.Start(t).Addr,
	} {
		t.Run(name, func(t *testing.T) { testChangedStore(t, first, second) })
	}
}

func testChangedStore(t *testing.T, redis *redistest.Server, second string) {
	toRedis := redisConnections(t, redis)
	endpoint := newReceiver(t)
	tally := count(t, endpoint)
	with := func(store string) siteConfig {
		return siteConfig{webhooks: endpoint.config(store), more: "metrics /metrics"}
	}
	s := startSite(t, with(second))
	s.subscribe(endpoint)
	reload := func(store string) {
		t.Helper()
		if err := s.load(with(store)); err != nil {
			t.Fatal(err)
		}
	}
	reload(redis.Addr)
	s.subscribe(endpoint)

	l := s.startLoad(nil)
	var waiting []string
	for range 2 {
		var old []string
		arrived := len(waiting)
		for tries := 0; arrived == len(waiting); tries++ {
			if tries == 10 {
				t.Fatal("nothing was left to wait")
			}
			if tries > 0 { // this time, the reload was slower than the sending
				reload(redis.Addr)
			}
			old = toRedis()
			waiting = append(waiting, s.emitMany(backlog)...)
			reload(second)
			arrived = tally.of(waiting)
		}
		l.some(t, 20)
		eventually(t, "connections to the old store to be closed", func() bool {
			return !slices.ContainsFunc(toRedis(), func(id string) bool { return slices.Contains(old, id) })
		})
		if n := tally.of(waiting); n != arrived {
			t.Errorf("%d events of the old store were sent by nobody", n-arrived)
		}
		reload(redis.Addr)
		l.some(t, 20)
		tally.wantAll(waiting)
	}
	events := l.stop()
	for _, store := range []string{redis.Addr, second} {
		reload(store)
		eventually(t, "nothing to be pending", func() bool {
			pending, ok := scrape(t, "http://"+s.addr+"/metrics")["deliveries_pending"]
			return ok && pending == 0
		})
	}
	tally.wantAll(append(events, waiting...))
	tally.wantOnce()
}

// TestRemovedApp takes the app away under load, and brings it back: the site
// beside it never notices, nothing is left behind, and what was pending goes on.
func TestRemovedApp(t *testing.T) {
	redis := redistest.Start(t)
	toRedis := redisConnections(t, redis)
	endpoint := newReceiver(t)
	tally := count(t, endpoint)
	with, without := siteConfig{webhooks: endpoint.config(redis.Addr)}, siteConfig{noApp: true}
	s := startSite(t, without)
	s.beside()
	http.DefaultClient.CloseIdleConnections()
	goroutines := runtime.NumGoroutine()

	if err := s.load(with); err != nil {
		t.Fatal(err)
	}
	s.subscribe(endpoint)
	l := s.startLoad(func(r reply) bool {
		// Nobody is there for it; or the engine has just gone.
		return r.status == http.StatusNotFound || r.status == http.StatusServiceUnavailable
	})
	waiting := s.emitMany(backlog)
	for range 3 {
		if err := s.load(without); err != nil {
			t.Fatal(err)
		}
		s.beside()
		eventually(t, "connections to Redis to be closed", func() bool { return len(toRedis()) == 0 })
		if err := s.load(with); err != nil {
			t.Fatal(err)
		}
		l.some(t, 20)
	}
	events := append(l.stop(), waiting...)
	tally.wantAll(events)
	tally.wantOnce()
	s.wantOneRowEach(events)

	if err := s.load(without); err != nil {
		t.Fatal(err)
	}
	eventually(t, "connections to Redis to be closed", func() bool { return len(toRedis()) == 0 })
	eventually(t, "connections to the endpoint to be closed", func() bool { return endpoint.open.Load() == 0 })
	http.DefaultClient.CloseIdleConnections()
	eventually(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= goroutines+5 })
}

// TestAppWithoutHandler takes the handler alone away: what is pending goes on.
func TestAppWithoutHandler(t *testing.T) {
	redis := redistest.Start(t)
	endpoint := newReceiver(t)
	tally := count(t, endpoint)
	config := siteConfig{webhooks: endpoint.config(redis.Addr)}
	s := startSite(t, config)
	s.subscribe(endpoint)
	release := endpoint.hold("/")
	events := s.emitMany(backlog)
	config.noHandler = true
	if err := s.load(config); err != nil {
		t.Fatal(err)
	}
	release()
	tally.wantAll(events)
	s.beside()

	config.noHandler = false
	if err := s.load(config); err != nil {
		t.Fatal(err)
	}
	events = append(events, s.emitMany(1)...)
	tally.wantAll(events)
	tally.wantOnce()
	s.wantOneRowEach(events)
}

// beside calls the site beside the API.
func (s *caddySite) beside() {
	s.t.Helper()
	if got := s.do(http.MethodGet, "/beside", ""); string(got.body) != "beside" {
		s.t.Errorf("the site beside: %d %s", got.status, got.body)
	}
}
