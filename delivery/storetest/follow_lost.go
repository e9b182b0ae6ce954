package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// wantLost fails the test unless a follower has lost its place, and continues from now on.
func (f *fixture) wantLost(follower delivery.Follower, w *delivery.Webhook) {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), patience)
	defer cancel()
	before := follower.Position()
	if rows, err := follower.Next(ctx); !errors.Is(err, delivery.ErrLostPlace) {
		f.Fatalf("behind %q there are %d requests, %v; want %v", before, len(rows), err, delivery.ErrLostPlace)
	}
	if follower.Position() == before {
		f.Fatalf("the follower goes on from %q", before)
	}
	f.wantNext(follower, f.logged(w, 1)...)
}

// testFollowUnknown comes back at positions that are invalid, or belong to another store.
func testFollowUnknown(f *fixture) {
	w := f.webhook(tenant)
	f.logged(w, 3)
	now := f.follow(tenant, "").Position()
	major, minor, _ := strings.Cut(now, "-")
	for _, position := range []string{
		"x", "0-0", "-", "1-1", major + "-999999999", "99999999999999-0", "18446744073709551615-18446744073709551615", now + "x", "0" + now,
		major + "0-" + minor, now + "-0-0", uuid.NewString(), "1-1-1", "  ", "\x00\xff",
	} {
		f.wantLost(f.follow(tenant, position), w)
	}
}

// testFollowLate reads later than another follower, and must get everything.
func testFollowLate(f *fixture) {
	w := f.webhook(tenant)
	late, prompt := f.follow(tenant, ""), f.follow(tenant, "")
	var want []uuid.UUID
	for _, n := range []int{700, 1, 800, 1000} {
		ids := f.logged(w, n)
		f.wantNext(prompt, ids...)
		want = append(want, ids...)
	}
	f.wantNext(late, want...)
}

// testFollowSlow does not read until more has been written than any store remembers.
func testFollowSlow(f *fixture) {
	w := f.webhook(tenant)
	follower := f.follow(tenant, "")
	start := follower.Position()
	const batch, large, small = 1000, 17, 1200
	for range large {
		f.logged(w, batch)
	}
	outcomes := f.reruns(w, small)
	var writers sync.WaitGroup
	for part := range slices.Chunk(outcomes, small/16) {
		writers.Go(func() {
			for i := range part {
				if err := errors.Join(f.store.Complete(f.Context(), part[i:i+1])...); err != nil {
					f.Error(err)
				}
			}
		})
	}
	writers.Wait()
	f.wantLost(follower, w)
	f.wantLost(f.follow(tenant, start), w)
}
