package redis

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Endpoints of webhooks that have what others have not. Each has a tenant of its own.
const (
	limited  = "limited"
	ordered  = "ordered"
	declared = "declared"
)

// often is a limit that has nothing wait for long, as has each one that is a little higher.
func often(more int) *delivery.RateLimit {
	return &delivery.RateLimit{Requests: 1000 + more, Per: time.Second}
}

// withOptions gives a webhook what its endpoint is the name of.
func withOptions(w *delivery.Webhook) *delivery.Webhook {
	switch w.Description {
	case limited:
		w.RateLimit = often(0)
	case ordered:
		w.OrderBy = "''"
	case declared:
		w.Declared = true
	}
	return w
}

// target is what the engine asks for a webhook.
func target(w *delivery.Webhook, lease bool) delivery.Target {
	t := delivery.Target{Webhook: w.ID, Lease: lease && w.RateLimit == nil && w.OrderBy == ""}
	if w.OrderBy != "" {
		t.Order = delivery.OrderKey{1}
	}
	return t
}

// liveWithOptions does once what only webhooks with options and replays ask of a store.
func (l *life) liveWithOptions() {
	for range 2 {
		for _, tenant := range []string{limited, ordered, declared} {
			l.emit(tenant, 3)
		}
		l.claim()
		l.complete()
		_, err := l.s.TakeStart(l.Context(), l.options[limited].Ref(), false)
		l.failed(err)
		l.relimit()
		l.replay()
	}
	refs, err := l.s.DeclaredWebhooks(l.Context())
	if w := l.options[declared]; !l.failed(err) && w != nil && !slices.Contains(refs, w.Ref()) {
		l.Error("a declared webhook is none any more")
	}
}

// relimit changes the limit of the webhook that has one.
func (l *life) relimit() {
	w := l.options[limited]
	changed := *w
	changed.RateLimit = often(w.RateLimit.Requests - 999)
	_, version, err := l.s.Webhook(l.Context(), w.Ref())
	if l.failed(err) || l.failed(l.s.UpdateWebhook(l.Context(), &changed, version)) {
		return
	}
	l.options[limited] = &changed
	delete(l.remembered, limited)
}

// replay begins a replay, or goes on with the one that is running, and ends it.
func (l *life) replay() {
	r := &delivery.Replay{
		Tenant: testTenant, ID: delivery.NewID(l.s.Now()), State: delivery.ReplayRunning,
		Filter: delivery.ReplayFilter{Status: delivery.ReplayAny, Since: l.s.Now().Add(-time.Hour), Until: l.s.Now()},
	}
	if err := l.s.CreateReplay(l.Context(), r, testRetention); !errors.Is(err, delivery.ErrReplayRunning) && !l.failed(err) {
		l.promise("a replay was begun", func() error { return l.wantReplay(r.ID, "") })
	}
	holder := uuid.New()
	claimed, err := l.s.ClaimReplays(l.Context(), 0, holder, driverLease, 10)
	l.failed(err)
	for i := range claimed {
		one := &claimed[i]
		one.State, one.FinishedAt = delivery.ReplayDone, l.s.Now()
		state, err := l.s.SaveReplay(l.Context(), one, holder, driverLease, testRetention)
		if !errors.Is(err, delivery.ErrReplayLost) && !l.failed(err) && state == delivery.ReplayDone {
			l.promise("a replay has ended", func() error { return l.wantReplay(one.ID, delivery.ReplayDone) })
		}
	}
	all, err := l.s.Replays(l.Context(), testTenant)
	l.failed(err)
	for _, one := range all {
		if one.State == delivery.ReplayRunning && !l.failed(l.s.CancelReplay(l.Context(), testTenant, one.ID)) {
			l.promise("a replay was canceled", func() error { return l.wantReplay(one.ID, delivery.ReplayCanceled) })
		}
	}
}

// wantReplay looks for a replay in a state, or in any.
func (l *life) wantReplay(id uuid.UUID, want delivery.ReplayState) error {
	all, err := l.s.Replays(l.Context(), testTenant)
	for _, r := range all {
		if r.ID == id && (want == "" || r.State == want) {
			return err
		}
	}
	return fmt.Errorf("%s is not among %+v, %w", want, all, err)
}

// endOptions checks that nothing of an option is left undone: a replay can be begun, held and ended,
// and the limit of a webhook is that of its record.
func (l *life) endOptions() {
	l.Helper()
	for _, tenant := range []string{limited, ordered, declared} {
		if !l.emit(tenant, 1) {
			l.Errorf("events of the tenant %s are not accepted", tenant)
		}
	}
	eventually(l, "a replay can be begun and ended", func() error {
		before := l.failures
		l.replay()
		if l.failures > before {
			return errors.New("it failed")
		}
		return nil
	})
	ref := refText(l.options[limited].Ref())
	eventually(l, "the limit is that of the record", func() error {
		l.claim()
		l.complete()
		w, _, err := l.s.Webhook(l.Context(), l.options[limited].Ref())
		if err != nil {
			return err
		}
		now := l.s.client().HGet(l.Context(), l.s.keys.base(0)+"rates", ref).Val()
		if want := string(webhookRate(w)); len(now) != len(want) || now[8:] != want[8:] {
			return fmt.Errorf("it is %q, and the record asks for %q", now, want)
		}
		return nil
	})
}

// TestLimitChangeBrokenOff has the change of a webhook's limit break off at each kind of key that it
// writes: then the limit that holds is that of the record, old or new.
func TestLimitChangeBrokenOff(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"rates", "due", "changes", "webhooks", "state", "declared", "audit"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := newBreakable(t, nil)
			if !b.emit(limited, 3) {
				t.Fatal("events are not accepted")
			}
			b.denyKind(kind, true)
			b.relimit()
			b.set("~" + b.s.keys.prefix + ":*")
			b.endOptions()
		})
	}
}
