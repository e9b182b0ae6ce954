package redis

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// server is shared by all tests that do it no harm; each has its own key prefix.
var server *redistest.Server

// silent keeps the client's own log out of the tests' output.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "webhooks-redis-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if server, err = redistest.StartServer(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer server.Kill()
		return m.Run()
	}())
}

var prefixes atomic.Int64

// options are for a separate store on the shared server.
func options() Options {
	return Options{
		Addresses: []string{server.Addr},
		KeyPrefix: fmt.Sprintf("test%d", prefixes.Add(1)),
	}
}

// open opens a store and closes it when the test ends.
func open(t testing.TB, o Options) *Store {
	t.Helper()
	s := New(o)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Open(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) delivery.Store { return open(t, options()) })
}

// TestConformancePartitions has several partitions, and reads by scripts that do little each.
func TestConformancePartitions(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) delivery.Store {
		o := options()
		o.Partitions = 3
		s := open(t, o)
		s.work, s.longChunk = 20, 500
		return s
	})
}

func TestNoGoroutinesLeft(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s := New(options())
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), 0, delivery.Room{Fast: 1, PerWebhook: 1}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
