package redis

import (
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// TestForeignIDs counts scripts, and commands with those of scripts.
func TestForeignIDs(t *testing.T) {
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}})
	storetest.RunForeign(t, s, func() map[string]int {
		stats, err := s.client().Info(t.Context(), "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		done := make(map[string]int)
		for line := range strings.Lines(stats) {
			command, calls, _ := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
			calls, _, ok := strings.Cut(calls, ",")
			if !ok {
				continue
			}
			n, err := strconv.Atoi(calls)
			if err != nil {
				t.Fatalf("%v in %s", err, line)
			}
			done["commands"] += n
			if command == "evalsha" {
				done["scripts"] += n
			}
		}
		return done
	})
}
