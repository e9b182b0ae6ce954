package redis

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
	"github.com/caddy-webhooks/caddy-webhooks/internal/process"
)

func TestPartitionsAreFixed(t *testing.T) {
	o := options()
	o.Partitions = 4
	open(t, o)
	open(t, o)

	o.Partitions = 0 // whatever is there
	if n := len(*open(t, o).partitions.Load()); n != 4 {
		t.Errorf("%d partitions were opened, want the 4 recorded", n)
	}

	o.Partitions = 5
	s := New(o)
	defer s.Close()
	err := s.Open(t.Context())
	if err == nil || !strings.Contains(err.Error(), "4 partitions, not 5") {
		t.Errorf("another number of partitions: %v", err)
	}

	// A reload may put it right, or wrong again.
	o.Partitions = 4
	s.Use(o)
	if err := s.Open(t.Context()); err != nil {
		t.Errorf("the number was put right: %v", err)
	}
	core, log := observer.New(zap.ErrorLevel)
	o.Logger = zap.New(core)
	told := open(t, o)
	told.Use(o)
	if log.Len() != 0 {
		t.Errorf("the log has %v", log.All())
	}
	o.Partitions = 5
	told.Use(o)
	if all := log.All(); len(all) != 1 || !strings.Contains(fmt.Sprint(all[0].ContextMap()), "4 partitions, not 5") {
		t.Errorf("the log has %v", all)
	}

	o = options()
	o.Partitions = maxPartitions + 1
	s = New(o)
	defer s.Close()
	if err := s.Open(t.Context()); err == nil {
		t.Error("too many partitions were opened")
	}
}

func TestOtherSchema(t *testing.T) {
	o := options()
	s := open(t, o)
	if err := s.client().HSet(t.Context(), s.keys.meta(), "schema", 99).Err(); err != nil {
		t.Fatal(err)
	}
	later := New(o)
	defer later.Close()
	if err := later.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "schema 99") {
		t.Errorf("a schema of the future: %v", err)
	}
}

func TestOldRedis(t *testing.T) {
	for version, ok := range map[string]bool{
		"7.0.15": true, "8.2.1": true, "10.0.0": true, "6.2.14": false, "5.0.7": false,
		"": true, // a custom build
	} {
		if err := checkVersion(version); (err == nil) != ok {
			t.Errorf("version %q: %v", version, err)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	addr, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Addresses: []string{addr}})
	defer s.Close()
	wantError(t, "Open", s.Open(t.Context()), delivery.ErrUnavailable)
}

func TestWarnings(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
		want int
	}{
		{"evicting", []string{"--appendonly", "yes", "--maxmemory-policy", "allkeys-lru"}, 1},
		{"nothing kept", []string{"--maxmemory-policy", "noeviction"}, 1},
		{"both", []string{"--maxmemory-policy", "allkeys-lru"}, 2},
		{"good", []string{"--appendonly", "yes", "--maxmemory-policy", "noeviction"}, 0},
		{"silent", []string{"--maxmemory-policy", "allkeys-lru", "--rename-command", "CONFIG", ""}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			core, logs := observer.New(zap.WarnLevel)
			open(t, Options{Addresses: []string{redistest.Start(t, test.args...).Addr}, Logger: zap.New(core)})
			if logs.Len() != test.want {
				t.Errorf("warned %d times, want %d: %v", logs.Len(), test.want, logs.All())
			}
		})
	}
}
