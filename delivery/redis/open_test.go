package redis

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
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

// TestRecordLost loses what the first Open recorded. While a store is open, Sweep records it
// again; otherwise the number of partitions must be configured.
func TestRecordLost(t *testing.T) {
	o := options()
	o.Partitions = 4
	s := open(t, o)
	for _, tenant := range []string{"a", "b", "c", "d"} {
		addWebhook(t, s, tenant)
	}
	o.Partitions = 0
	lose := func() { s.client().Del(t.Context(), s.keys.meta()) }
	lose()
	if err := openError(t, o); err == nil || !strings.Contains(err.Error(), "was lost") {
		t.Errorf("without the record: %v", err)
	}
	sweepAll(t, s)
	if n := open(t, o).Partitions(); n != 4 {
		t.Errorf("%d partitions are recorded again, want 4", n)
	}
	lose()
	o.Partitions = 4
	if n := open(t, o).Partitions(); n != 4 {
		t.Errorf("%d partitions, want the 4 configured", n)
	}
	for _, damage := range []string{"wrong type", "garbage", "cut"} {
		damages[damage](t.Context(), s.client().(*redis.Client), s.keys.meta())
		if err := openError(t, o); err == nil || !strings.Contains(err.Error(), "in Redis") {
			t.Errorf("%s: %v", damage, err)
		}
		lose()
		sweepAll(t, s)
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

// TestEarlierSchema opens what an earlier version has written: from then on that refuses it, but
// not before there is room for it.
func TestEarlierSchema(t *testing.T) {
	o := Options{Addresses: []string{redistest.Start(t).Addr}}
	s := open(t, o)
	client, ctx := s.client(), t.Context()
	schema := func() string { return client.HGet(ctx, s.keys.meta(), schemaField).Val() }
	client.HSet(ctx, s.keys.meta(), schemaField, "1")
	client.ConfigSet(ctx, "maxmemory", "1mb")
	open(t, o)
	if got := schema(); got != "1" {
		t.Errorf("a full Redis has schema %s", got)
	}
	client.ConfigSet(ctx, "maxmemory", "0")

	other := o
	other.Partitions = 7
	if err := openError(t, other); err == nil {
		t.Error("the store was opened with another number of partitions")
	}
	client.Do(ctx, "ACL", "SETUSER", "default", "-xadd")
	if err := openError(t, o); err == nil {
		t.Error("the store was opened without all rights")
	}
	client.Do(ctx, "ACL", "SETUSER", "default", "+xadd")
	if got := schema(); got != "1" {
		t.Errorf("the schema is %s where this version did not open", got)
	}

	for _, before := range []string{"1", "2"} {
		for _, use := range []func(){func() { open(t, o) }, func() { sweepAll(t, s) }} {
			client.HSet(ctx, s.keys.meta(), schemaField, before)
			use()
			if got := schema(); got != "3" {
				t.Errorf("the schema is %s after %s, want 3", got, before)
			}
		}
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

// TestEvictionAllowed allows eviction in a configuration that comes later.
func TestEvictionAllowed(t *testing.T) {
	o := Options{Addresses: []string{redistest.Start(t, "--maxmemory-policy", "volatile-ttl").Addr}}
	s := New(o)
	defer s.Close()
	if err := s.Open(t.Context()); err == nil {
		t.Error("it opens although Redis may evict events")
	}
	o.AllowEviction = true
	s.Use(o)
	if err := s.Open(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestSettings opens Redis with settings that lose data.
func TestSettings(t *testing.T) {
	evicting := []string{"--maxmemory-policy", "allkeys-lru"}
	for _, test := range []struct {
		name  string
		args  []string
		allow bool
		want  int // warnings; -1 for an error
	}{
		{"evicting", append(evicting, "--appendonly", "yes"), false, -1},
		{"evicting, silent", append(evicting, "--appendonly", "yes", "--rename-command", "CONFIG", ""), false, -1},
		{"evicting, allowed", append(evicting, "--appendonly", "yes"), true, 1},
		{"evicting, allowed, nothing kept", evicting, true, 2},
		{"nothing kept", []string{"--maxmemory-policy", "noeviction"}, false, 1},
		{"nothing kept, silent", []string{"--maxmemory-policy", "noeviction", "--rename-command", "CONFIG", ""}, false, 0},
		{"good", []string{"--appendonly", "yes", "--maxmemory-policy", "noeviction"}, false, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			core, logs := observer.New(zap.WarnLevel)
			o := Options{Addresses: []string{redistest.Start(t, test.args...).Addr}, Logger: zap.New(core), AllowEviction: test.allow}
			if test.want >= 0 {
				open(t, o)
			} else {
				s := New(o)
				defer s.Close()
				if err := s.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "noeviction") {
					t.Errorf("the error is %v", err)
				}
			}
			if logs.Len() != max(0, test.want) {
				t.Errorf("warned %d times, want %d: %v", logs.Len(), test.want, logs.All())
			}
		})
	}
}
