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

// TestRotatedCredentials goes from one Redis user to the next and back under
// load, while both are good: nobody notices.
func TestRotatedCredentials(t *testing.T) {
	redis := redistest.Start(t)
	admin := goredis.NewClient(&goredis.Options{Addr: redis.Addr})
	defer admin.Close()
	users := []string{"first", "second"}
	for _, user := range users {
		if err := admin.ACLSetUser(t.Context(), user, "on", ">pass", "~*", "&*", "+@all").Err(); err != nil {
			t.Fatal(err)
		}
	}
	endpoint := newReceiver(t)
	tally := count(t, endpoint)
	config := func(i int) siteConfig {
		return siteConfig{webhooks: endpoint.config(users[i%len(users)] + ":pass@" + redis.Addr)}
	}
	s := startSite(t, config(0))
	s.subscribe(endpoint)

	l := s.startLoad(nil)
	for i := range 10 {
		if err := s.load(config(i + 1)); err != nil {
			t.Fatal(err)
		}
		l.some(t, 5)
	}
	events := l.stop()
	tally.wantAll(events)
	tally.wantOnce()
	s.wantOneRowEach(events)
}
