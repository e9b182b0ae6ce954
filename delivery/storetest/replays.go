package storetest

import (
	"errors"
	"reflect"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Holders of replays, each as if it were a process.
var holder, otherHolder = uuid.New(), uuid.New()

// newReplay makes a replay that was asked for some time ago.
func (f *fixture) newReplay(tenant string, age time.Duration) *delivery.Replay {
	now := f.store.Now()
	return &delivery.Replay{
		Tenant: tenant, ID: delivery.NewID(now.Add(-age)), State: delivery.ReplayRunning,
		Filter: delivery.ReplayFilter{
			WebhookID: uuid.New(), EventType: "alert_active", Status: delivery.ReplayAny,
			Since: now.Add(-time.Hour).UTC().Truncate(time.Nanosecond), Until: now.UTC(),
		},
	}
}

func (f *fixture) replay(tenant string, age time.Duration) *delivery.Replay {
	f.Helper()
	r := f.newReplay(tenant, age)
	f.must(f.store.CreateReplay(f.Context(), r, retention))
	return r
}

// claimReplays claims all replays that nobody holds.
func (f *fixture) claimReplays(by uuid.UUID, lease time.Duration) (claimed []delivery.Replay) {
	f.Helper()
	for partition := range f.store.Partitions() {
		some, err := f.store.ClaimReplays(f.Context(), partition, by, lease, 10)
		f.must(err)
		claimed = append(claimed, some...)
	}
	return claimed
}

// claimReplay claims the only replay that nobody holds.
func (f *fixture) claimReplay(by uuid.UUID, lease time.Duration) delivery.Replay {
	f.Helper()
	claimed := f.claimReplays(by, lease)
	if len(claimed) != 1 {
		f.Fatalf("claimed %d replays, want 1: %+v", len(claimed), claimed)
	}
	return claimed[0]
}

func (f *fixture) saveReplay(r *delivery.Replay, by uuid.UUID, lease time.Duration, want delivery.ReplayState) {
	f.Helper()
	state, err := f.store.SaveReplay(f.Context(), r, by, lease, retention)
	f.must(err)
	if state != want {
		f.Errorf("the replay is %s, want %s", state, want)
	}
}

// wantReplays reads the replays of a tenant.
func (f *fixture) wantReplays(tenant string, want ...*delivery.Replay) {
	f.Helper()
	got, err := f.store.Replays(f.Context(), tenant)
	f.must(err)
	if len(got) != len(want) {
		f.Fatalf("%d replays, want %d", len(got), len(want))
	}
	for i := range got {
		f.sameReplay(got[i], want[i])
	}
}

func (f *fixture) sameReplay(got delivery.Replay, want *delivery.Replay) {
	f.Helper()
	a, b := got, *want
	if sameTime(a.Filter.Since, b.Filter.Since) && sameTime(a.Filter.Until, b.Filter.Until) && sameTime(a.FinishedAt, b.FinishedAt) {
		a.Filter.Since, a.Filter.Until, a.FinishedAt = b.Filter.Since, b.Filter.Until, b.FinishedAt
	}
	if !reflect.DeepEqual(a, b) {
		f.Errorf("got the replay\n%+v, want\n%+v", got, *want)
	}
}

// advance changes what a holder of a replay does.
func advance(r *delivery.Replay) {
	r.Counted, r.Total, r.Done, r.Succeeded, r.Failed = true, 9, 6, 3, 2
	r.Place, r.Searched = "a place\x00\xff", true
	r.Sending = []delivery.ReplayedDelivery{
		{WebhookID: uuid.New(), EventID: uuid.New(), Last: uuid.New()}, {WebhookID: uuid.New(), EventID: uuid.New()},
	}
	r.Apart = []delivery.ReplayApart{{WebhookID: uuid.New(), Before: uuid.New()}}
}

func finish(f *fixture, r *delivery.Replay) {
	r.State, r.FinishedAt, r.Sending, r.Apart, r.Done = delivery.ReplayDone, f.store.Now().UTC().Truncate(time.Millisecond), nil, nil, r.Total
}

// testReplay has one replay of each tenant at a time, which comes back as it was left.
func testReplay(f *fixture) {
	f.wantReplays(tenant)
	if n := len(f.claimReplays(holder, held)); n > 0 {
		f.Errorf("claimed %d replays of none", n)
	}
	first := f.replay(tenant, time.Minute)
	f.must(f.store.CreateReplay(f.Context(), first, retention)) // again, since the answer was lost
	f.wantReplays(tenant, first)
	if err := f.store.CreateReplay(f.Context(), f.newReplay(tenant, 0), retention); !errors.Is(err, delivery.ErrReplayRunning) {
		f.Errorf("a second replay: %v", err)
	}
	claimed := f.claimReplay(holder, held)
	f.sameReplay(claimed, first)
	other := f.replay("other", 0)
	f.sameReplay(f.claimReplay(otherHolder, held), other)
	f.wantReplays("other", other)
	advance(&claimed)
	f.saveReplay(&claimed, holder, held, delivery.ReplayRunning)
	f.wantReplays(tenant, &claimed)
	finish(f, &claimed)
	f.saveReplay(&claimed, holder, 0, delivery.ReplayDone)
	f.saveReplay(&claimed, holder, 0, delivery.ReplayDone) // again
	if n := len(f.claimReplays(otherHolder, held)); n > 0 {
		f.Errorf("claimed %d replays that have ended", n)
	}
	second := f.replay(tenant, 0)
	f.wantReplays(tenant, second, &claimed)
	f.wantReplays("other", other)
}

// testReplayHeld has a replay that nobody holds any more go on with another process, as the one
// before it had left it.
func testReplayHeld(f *fixture) {
	f.replay(tenant, 0)
	first := f.claimReplay(holder, held)
	if n := len(f.claimReplays(otherHolder, held)); n > 0 {
		f.Error("a replay that somebody holds is claimed")
	}
	advance(&first)
	f.saveReplay(&first, holder, ended, delivery.ReplayRunning) // and then it was killed
	second := f.claimReplay(otherHolder, held)
	f.sameReplay(second, &first)
	late := first
	late.Done++
	if _, err := f.store.SaveReplay(f.Context(), &late, holder, held, retention); !errors.Is(err, delivery.ErrReplayLost) {
		f.Errorf("a holder who has lost the replay saves it: %v", err)
	}
	f.wantReplays(tenant, &second)
	f.saveReplay(&second, otherHolder, 0, delivery.ReplayRunning) // it stops
	f.sameReplay(f.claimReplay(holder, held), &second)
	unknown := f.newReplay(tenant, 0)
	if _, err := f.store.SaveReplay(f.Context(), unknown, holder, held, retention); !errors.Is(err, delivery.ErrReplayLost) {
		f.Errorf("an unknown replay is saved: %v", err)
	}
}

// testReplayCanceled cancels a replay, whose holder may still count what it has sent.
func testReplayCanceled(f *fixture) {
	r := f.replay(tenant, 0)
	claimed := f.claimReplay(holder, held)
	for _, of := range []string{"other", tenant} {
		id := r.ID
		if of == tenant {
			id = uuid.New()
		}
		if err := f.store.CancelReplay(f.Context(), of, id); !errors.Is(err, delivery.ErrNotFound) {
			f.Errorf("canceling an unknown replay: %v", err)
		}
	}
	before := f.store.Now().Add(-time.Second)
	f.must(f.store.CancelReplay(f.Context(), tenant, r.ID))
	all, err := f.store.Replays(f.Context(), tenant)
	f.must(err)
	if len(all) != 1 || all[0].State != delivery.ReplayCanceled || all[0].FinishedAt.Before(before) {
		f.Fatalf("the replay is %+v", all)
	}
	advance(&claimed)
	finish(f, &claimed)
	f.saveReplay(&claimed, holder, 0, delivery.ReplayCanceled)
	claimed.State, claimed.FinishedAt = all[0].State, all[0].FinishedAt
	f.wantReplays(tenant, &claimed)
	f.must(f.store.CancelReplay(f.Context(), tenant, r.ID))
	if n := len(f.claimReplays(otherHolder, held)); n > 0 {
		f.Error("a replay that was canceled is claimed")
	}
	next := f.replay(tenant, 0)
	f.wantReplays(tenant, next, &claimed)
}

// testReplaysKept keeps the newest replays, and one that is running however old it is.
func testReplaysKept(f *fixture) {
	running := f.replay("other", 3*retention)
	for i := range delivery.MaxReplays + 2 {
		age := time.Duration(200-i) * time.Second
		if i < 2 {
			age += 2 * retention
		}
		r := f.replay(tenant, age)
		f.must(f.store.CancelReplay(f.Context(), tenant, r.ID))
	}
	all, err := f.store.Replays(f.Context(), tenant)
	f.must(err)
	if len(all) != delivery.MaxReplays || all[0].CreatedAt().Before(all[1].CreatedAt()) || f.store.Now().Sub(all[99].CreatedAt()) > retention {
		f.Errorf("%d replays are kept, the oldest of %s", len(all), all[len(all)-1].CreatedAt())
	}
	f.sweep(retention)
	f.wantReplays("other", running)
}
