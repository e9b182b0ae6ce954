package chaos

import (
	"testing"
	"time"
)

// quick are the scenarios that run with all other tests. They take a minute in all.
var quick = []scenario{
	{name: "kill -9 of Redis", store: "redis, always", start: standalone("always"), play: killRedis(2)},
	{name: "Redis hangs", store: "redis, always", start: standalone("always"), play: hangRedis(3 * time.Second)},
	{name: "answers are lost", store: "redis, always", start: proxied, play: loseAnswers(3 * time.Second)},
	{name: "kill -9 of Caddy", store: "redis, always", start: standalone("always"), play: killCaddys(4)},
	{name: "kill -9 of Caddy", store: "embedded", start: embedded, play: killCaddys(4)},
}

// TestQuick plays the quick scenarios side by side: mostly they wait for leases to end.
func TestQuick(t *testing.T) {
	for i := range quick {
		sc := &quick[i]
		t.Run(sc.title(), func(t *testing.T) {
			t.Parallel()
			sc.run(t)
		})
	}
}
