package embedded

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// TestSlowThenQuick writes two outcomes of one webhook at once: a timeout, then a success.
// So it is no longer slow, neither now nor after a restart.
func TestSlowThenQuick(t *testing.T) {
	folder := t.TempDir()
	s := open(t, folder)
	load := storetest.Load{Store: s}
	load.Begin(t)
	var outcomes []delivery.Outcome
	for range 2 {
		calls, accepted := load.Accept(t, 1, true)
		outcomes = append(outcomes, outcome(s, &calls[0], &accepted[0]))
	}
	late := &outcomes[0]
	late.Slow, late.RetryAt, late.Request.Status = true, s.Now(), delivery.RequestFailed
	outcomes[1].Request.Status = delivery.RequestSuccess
	if err := errors.Join(s.Complete(t.Context(), outcomes)...); err != nil {
		t.Fatal(err)
	}
	check := func(s *Store) {
		t.Helper()
		claimed, err := s.Claim(t.Context(), 0, delivery.Room{Fast: 1, Slow: 1, PerWebhook: 1, Lease: time.Hour})
		if err != nil || len(claimed.Jobs) != 1 || claimed.Jobs[0].Slow {
			t.Errorf("claimed %+v, %v, want the retry, not slow", claimed.Jobs, err)
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(open(t, folder))
}
