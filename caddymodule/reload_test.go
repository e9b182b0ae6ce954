package caddymodule_test

import (
	"fmt"
	"net/http"
	"runtime"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// TestReload reloads again and again under load, with other options each time:
// no call is refused, no event is lost, none is sent twice, and nothing is left
// behind.
func TestReload(t *testing.T) {
	for name, newEndpoint := range map[string]func(*testing.T) *receiver{
		"HTTP/1.1": newReceiver, "HTTP/2": newReceiverHTTP2,
	} {
		t.Run(name, func(t *testing.T) { testReload(t, newEndpoint(t)) })
	}
}

const reloads = 50

func testReload(t *testing.T, endpoint *receiver) {
	redis := redistest.Start(t)
	toRedis := redisConnections(t, redis)
	tally := count(t, endpoint)
	options := func(i int) siteConfig {
		return siteConfig{webhooks: endpoint.config(redis.Addr) + fmt.Sprintf(`
			timeout %ds
			concurrency %d %d
			retention %dh
			max_response_size %d
			signature_header X-Signature-%d
		`, 20+i%7, 100+i, 8+i%5, 48+i, 100*i, i)}
	}
	s := startSite(t, options(0))
	s.subscribe(endpoint)
	first := s.emitMany(20)
	tally.wantAll(first)
	http.DefaultClient.CloseIdleConnections()
	goroutines := runtime.NumGoroutine()

	l := s.startLoad(nil)
	for i := range reloads {
		if err := s.load(options(i + 1)); err != nil {
			t.Fatal(err)
		}
		l.some(t, 5)
	}
	events := l.stop()
	t.Logf("%d events over %d reloads", len(events), reloads)
	tally.wantAll(events)
	tally.wantOnce()
	s.wantOneRowEach(append(events, first...))

	// Of the connections to the endpoint only those of the last settings are
	// kept, so none is when these go too.
	if err := s.load(options(reloads + 1)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "connections to the endpoint to be closed", func() bool { return endpoint.open.Load() == 0 })
	if n, most := len(toRedis()), 10*runtime.GOMAXPROCS(0); n > most {
		t.Errorf("%d connections to Redis; one client has at most %d", n, most)
	}
	http.DefaultClient.CloseIdleConnections()
	eventually(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= goroutines+5 })
}

// TestRollbackUnderLoad fails to reload: calls and requests go on as before.
func TestRollbackUnderLoad(t *testing.T) {
	redis := redistest.Start(t)
	endpoint := newReceiver(t)
	config := siteConfig{webhooks: endpoint.config(redis.Addr)}
	s := startSite(t, config)
	s.subscribe(endpoint)
	tally := count(t, endpoint)

	l := s.startLoad(nil)
	for i := range 10 {
		s.loadInVain(siteConfig{webhooks: endpoint.config(redis.Addr) + "standard_webhooks\n"})
		l.some(t, 5)
		s.loadInVain(siteConfig{webhooks: endpoint.config(redis.Addr + fmt.Sprint("/", i+1))})
		l.some(t, 5)
	}
	events := l.stop()
	tally.wantAll(events)
	tally.wantOnce()
	s.wantOneRowEach(events)
}

// TestReloadWhileStoreAway reloads while Redis is away: nothing that was taken
// is lost, and all goes on when Redis is back.
func TestReloadWhileStoreAway(t *testing.T) {
	redis := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	endpoint := newReceiver(t)
	tally := count(t, endpoint)
	config := siteConfig{webhooks: endpoint.config(redis.Addr)}
	s := startSite(t, config)
	s.subscribe(endpoint)

	release := endpoint.hold("/")
	events := s.emitMany(200)
	eventually(t, "requests to be in flight", func() bool { return tally.of(events) > 0 })
	redis.Kill()
	s.emit(`{"event_type":"group_created","data":{}}`).wantProblem(t, http.StatusServiceUnavailable)
	for i := range 3 {
		config.webhooks = endpoint.config(redis.Addr) + fmt.Sprintf("timeout %ds\n", 20+i)
		if err := s.load(config); err != nil {
			t.Fatal(err)
		}
		s.emit(`{"event_type":"group_created","data":{}}`).wantProblem(t, http.StatusServiceUnavailable)
	}
	release() // their outcomes cannot be written yet
	if err := redis.Restart(); err != nil {
		t.Fatal(err)
	}
	s.ready()
	events = append(events, s.emitMany(1)...)
	tally.wantAll(events)
	tally.wantOnce()
	s.wantOneRowEach(events)
}
