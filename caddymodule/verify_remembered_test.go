package caddymodule_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// TestVerifyRemembered looks at how long messages are remembered: for as long as they are fresh, by
// whatever clock, and for an hour at least, in which the tolerance can be raised by a reload.
func TestVerifyRemembered(t *testing.T) {
	redis := redistest.Start(t)
	client := goredis.NewClient(&goredis.Options{Addr: redis.Addr})
	defer client.Close()
	options := " {\n\t\tsecret " + verifySecret + "\n\t\ttolerance "
	g := startGuarded(t, siteConfig{webhooks: "store redis redis://" + redis.Addr}, map[string]string{
		"/standard": "standard {\n\t\tsecret " + verifySecret + "\n\t}", "/long": "standard" + options + "2h\n\t}",
		"/github": "github {\n\t\tsecret " + verifySecret + "\n\t}", "/short": "github" + options + "10m\n\t}",
	})
	g.ready()
	const off = 4 * time.Minute
	for _, c := range []struct {
		path string
		at   time.Duration // from now
		want time.Duration
	}{
		{"/standard", 0, time.Hour},
		{"/standard", -off, time.Hour},
		{"/long", 0, 2*time.Hour + time.Minute},
		{"/long", off, 2*time.Hour + time.Minute + off},
		{"/long", -90 * time.Minute, time.Hour},
		{"/github", 0, 24 * time.Hour},
		{"/short", 0, 10 * time.Minute},
	} {
		m := github(verifySecret, uuid.NewString(), "{}")
		if c.path == "/standard" || c.path == "/long" {
			m = standard(verifySecret, uuid.NewString(), time.Now().Add(c.at), "{}")
		}
		g.do(http.MethodPost, c.path, "{}", m...).want(t, http.StatusNoContent, nil)
		keys, err := client.Keys(t.Context(), "*received:*").Result()
		if err != nil || len(keys) != 1 {
			t.Fatalf("%s: %q, %v", c.path, keys, err)
		}
		// A time of a request has no fractions of seconds.
		if got := client.PTTL(t.Context(), keys[0]).Val(); got > c.want || got < c.want-patience-time.Second {
			t.Errorf("%s, sent %s from now: remembered for %s, want %s", c.path, c.at, got, c.want)
		}
		if err := client.Del(t.Context(), keys...).Err(); err != nil {
			t.Fatal(err)
		}
	}
}
