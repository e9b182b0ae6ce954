package embedded

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// A lease that holds proves that an outcome is not written yet, but not if the retry falls
// due at just the time at which the lease would have ended.
func TestCompleteAgain(t *testing.T) {
	s := open(t, t.TempDir())
	load := storetest.Load{Store: s}
	load.Begin(t)
	calls, accepted := load.Accept(t, 1, true)
	o := outcome(s, &calls[0], &accepted[0])
	o.RetryAt = time.UnixMilli(o.LeaseEnd)
	for range 2 {
		if err := errors.Join(s.Complete(t.Context(), []delivery.Outcome{o, o})...); err != nil {
			t.Fatal(err)
		}
	}
	tenant := calls[0].Tenant
	page, err := s.Requests(t.Context(), tenant, delivery.RequestFilter{Limit: 10})
	if err != nil || len(page.Requests) != 1 {
		t.Errorf("the log has %d rows, %v, want 1", len(page.Requests), err)
	}
	counts, err := s.RequestCounts(t.Context(), tenant, s.Now().Add(-time.Hour))
	if err != nil || len(counts) != 1 || counts[0].N != 1 {
		t.Errorf("counted are %+v, %v, want one request", counts, err)
	}
}
