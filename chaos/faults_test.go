package chaos

import (
	"fmt"
	"path/filepath"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// standalone is a Redis that writes to the disk, with an appendfsync, and two Caddys.
func standalone(appendfsync string) func(s *stage) []string {
	return func(s *stage) []string {
		s.startRedis("--appendonly", "yes", "--appendfsync", appendfsync)
		store := "redis redis://" + s.redis.Addr
		return []string{store, store}
	}
}

// proxied is a Redis behind a proxy, and two Caddys.
func proxied(s *stage) []string {
	standalone("always")(s)
	s.proxy = startProxy(s.t, s.redis.Addr, s.t.Name())
	store := "redis redis://" + s.proxy.addr
	return []string{store, store}
}

// embedded is a folder with one Caddy.
func embedded(s *stage) []string {
	s.folder = filepath.Join(s.t.TempDir(), "store")
	return []string{"embedded " + s.folder}
}

func (s *stage) startRedis(args ...string) {
	s.t.Helper()
	s.redis = redistest.Start(s.t, args...)
	s.client = goredis.NewClient(&goredis.Options{Addr: s.redis.Addr})
	s.t.Cleanup(func() { _ = s.client.Close() }) // nothing depends on it any more
}

// killRedis kills Redis at some moment, and starts it again.
func killRedis(times int) func(s *stage) {
	return func(s *stage) {
		for range times {
			s.some(500*time.Millisecond, 1500*time.Millisecond)
			s.fault("kill -9 of Redis", repeats, func() {
				s.redis.Kill()
				s.some(0, time.Second)
				s.must(s.redis.Restart())
			})
			s.served()
		}
	}
}

// hangRedis stops Redis for a while, like a machine that hangs.
func hangRedis(d time.Duration) func(s *stage) {
	return func(s *stage) {
		s.some(500*time.Millisecond, time.Second)
		s.fault("SIGSTOP of Redis", repeats, func() {
			s.must(s.redis.Freeze())
			time.Sleep(d)
			s.must(s.redis.Thaw())
		})
		s.served()
		s.some(500*time.Millisecond, time.Second)
	}
}

// loseAnswers loses a twentieth of Redis's answers, with their connections.
func loseAnswers(d time.Duration) func(s *stage) {
	return func(s *stage) {
		s.some(500*time.Millisecond, time.Second)
		s.fault("answers are lost", repeats, func() {
			s.proxy.become(weather{loss: 0.05})
			time.Sleep(d)
			s.proxy.become(weather{})
		})
		s.served()
	}
}

// killCaddys kills a Caddy, or all of them, at some moment, and starts them again.
func killCaddys(rounds int) func(s *stage) {
	return func(s *stage) {
		for range rounds {
			s.some(50*time.Millisecond, 500*time.Millisecond)
			victims := s.caddys
			if n := s.random.IntN(len(s.caddys) + 1); n < len(s.caddys) {
				victims = victims[n : n+1]
			}
			s.fault(fmt.Sprintf("kill -9 of %d Caddys", len(victims)), repeats|forgets, func() {
				for _, c := range victims {
					c.kill()
				}
				for _, c := range victims {
					c.start()
					c.ready()
				}
			})
		}
		s.served()
	}
}
