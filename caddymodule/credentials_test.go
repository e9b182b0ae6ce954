package caddymodule_test

import (
	"net/http"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// TestChangedCredentials changes Redis's password and tells Caddy by a reload:
// the engine goes on, with what it has in memory and in flight.
func TestChangedCredentials(t *testing.T) {
	redis := redistest.Start(t, "--requirepass", "first")
	endpoint := newReceiver(t)
	config := func(password string) siteConfig {
		return siteConfig{webhooks: endpoint.config(":" + password + "@" + redis.Addr)}
	}
	s := startSite(t, config("first"))
	s.subscribe(endpoint)

	admin := goredis.NewClient(&goredis.Options{Addr: redis.Addr, Password: "first"})
	defer admin.Close()
	if err := admin.ConfigSet(t.Context(), "requirepass", "second").Err(); err != nil {
		t.Fatal(err)
	}
	if err := admin.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the old password to be refused", func() bool {
		return s.emit(`{"event_type":"group_created","data":{}}`).status == http.StatusServiceUnavailable
	})
	if err := s.load(config("second")); err != nil {
		t.Fatal(err)
	}
	s.ready()
	s.emit(`{"event_type":"group_created","data":{}}`).want(t, http.StatusAccepted, nil)
	endpoint.next(t)

	// A reload that is rolled back takes its password away with it.
	s.loadInVain(config("wrong"))
	s.emit(`{"event_type":"group_created","data":{}}`).want(t, http.StatusAccepted, nil)
	endpoint.next(t)
}
