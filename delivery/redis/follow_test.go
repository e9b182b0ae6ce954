package redis

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// TestFollowOtherProcess lets several stores on one Redis write: each sees what the others
// wrote, all in the same order.
func TestFollowOtherProcess(t *testing.T) {
	t.Parallel()
	o := options()
	here, there := open(t, o), open(t, o)
	w := addWebhook(t, here, testTenant)
	followers := []delivery.Follower{following(t, here, ""), following(t, there, "")}
	var want []uuid.UUID
	for range 10 {
		want = append(want, logged(t, here, w), logged(t, there, w), logged(t, open(t, o), w))
	}
	for _, f := range followers {
		wantNext(t, f, want...)
	}
	// A position of one store is valid in all of them.
	last := followers[0].Position()
	want = []uuid.UUID{logged(t, here, w), logged(t, there, w)}
	wantNext(t, following(t, there, last), want...)
	wantNext(t, following(t, open(t, o), last), want...)
}

// TestFollowWithoutRedis stops Redis and starts it again: first with all its data, then
// with none.
func TestFollowWithoutRedis(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	o := options()
	o.Addresses = []string{redis.Addr}
	s := open(t, o)
	w := addWebhook(t, s, testTenant)
	stays, comesBack := following(t, s, ""), following(t, s, "")
	position := comesBack.Position()
	first := logged(t, s, w)
	wantNext(t, stays, first)

	redis.Kill()
	ended := make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, err := comesBack.Next(ctx)
		if err == nil {
			_, err = comesBack.Next(ctx)
		}
		ended <- err
	}()
	cancel() // it waits for Redis, but only as long as its context allows
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Follow(t.Context(), testTenant, ""); err == nil {
		t.Error("a store that is away can be followed")
	}
	if err := redis.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Redis is back", func() error { return s.Ping(t.Context(), 0) })
	second := logged(t, s, w)
	wantNext(t, stays, second)
	wantNext(t, following(t, s, position), first, second)

	redis.Kill()
	if err := os.RemoveAll(filepath.Join(redis.Dir, "appendonlydir")); err != nil {
		t.Fatal(err)
	}
	if err := redis.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Redis is back", func() error { return s.Ping(t.Context(), 0) })
	w = addWebhook(t, s, testTenant)
	logged(t, s, w)
	for _, f := range []delivery.Follower{stays, following(t, s, position)} {
		if rows, err := f.Next(t.Context()); !errors.Is(err, delivery.ErrLostPlace) {
			t.Errorf("got %d requests, %v", len(rows), err)
		}
	}
	wantNext(t, stays, logged(t, s, w))
}

// TestNobodyFollows checks that Redis is asked nothing once nobody follows, that no goroutine
// is left, and that a store can be closed while it is followed.
func TestNobodyFollows(t *testing.T) {
	redis := redistest.Start(t)
	before := goleak.IgnoreCurrent()
	defer goleak.VerifyNone(t, before)
	s := New(Options{Addresses: []string{redis.Addr}})
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	addWebhook(t, s, testTenant)
	reads := func() string {
		info, err := s.client().Info(t.Context(), "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		return infoField(info, "cmdstat_xread")
	}
	f, err := s.Follow(t.Context(), testTenant, "")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log is read", func() error {
		if reads() == "" {
			return errors.New("no XREAD yet")
		}
		return nil
	})
	f.Close()
	eventually(t, "nobody reads", func() error { return goleak.Find(before) })
	clients, err := s.client().ClientList(t.Context()).Result()
	if err != nil || strings.Contains(clients, " flags=b ") {
		t.Errorf("a connection waits: %v\n%s", err, clients)
	}
	if f, err = s.Follow(t.Context(), testTenant, ""); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := f.Next(context.Background())
		ended <- err
	}()
	time.Sleep(time.Millisecond) // a moment more or less
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, delivery.ErrUnavailable) {
		t.Errorf("after Close, Next returns %v", err)
	}
}

func following(t *testing.T, s *Store, after string) delivery.Follower {
	t.Helper()
	f, err := s.Follow(t.Context(), testTenant, after)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// logged writes a row outside the schedule.
func logged(t *testing.T, s *Store, w *delivery.Webhook) uuid.UUID {
	t.Helper()
	e := &delivery.AcceptEvent{ID: delivery.NewID(s.Now()), Type: "alert_active"}
	o := success(s, w, e, &delivery.Accepted{At: s.Now()})
	o.Request.Trigger, o.LeaseEnd = delivery.TriggerRerun, 0
	if err := errors.Join(s.Complete(t.Context(), []delivery.Outcome{o})...); err != nil {
		t.Fatal(err)
	}
	return o.Request.ID
}

func wantNext(t *testing.T, f delivery.Follower, want ...uuid.UUID) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for len(want) > 0 {
		rows, err := f.Next(ctx)
		if err != nil || len(rows) > len(want) {
			t.Fatalf("%d requests, %v; want %d more", len(rows), err, len(want))
		}
		for i := range rows {
			if rows[i].ID != want[i] {
				t.Fatalf("got request %s, want %s", rows[i].ID, want[i])
			}
		}
		want = want[len(rows):]
	}
}
