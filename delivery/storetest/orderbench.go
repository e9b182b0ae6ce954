package storetest

import (
	"errors"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// RunOrdered does what Run does with deliveries that have order keys, of which there are so many:
// they are claimed, as none is born leased.
func (l *Load) RunOrdered(b *testing.B, batch, keys int) {
	b.Helper()
	b.ReportAllocs()
	for done := 0; b.Loop(); done++ {
		if done%batch > 0 { // b.N counts events
			continue
		}
		calls := make([]delivery.AcceptCall, batch)
		for i := range calls {
			calls[i] = l.Call(1, false)
			key := 1 + (done+i)%keys
			calls[i].Events[0].Targets[0].Order = delivery.OrderKey{14: byte(key >> 8), 15: byte(key)}
		}
		for _, result := range l.Store.Accept(b.Context(), delivery.AcceptBatch{Calls: calls, Lease: held, Retention: retention}) {
			if result.Err != nil {
				b.Fatal(result.Err)
			}
		}
		for left := batch; left > 0; {
			left -= l.completeClaimed(b, batch)
		}
	}
}

// completeClaimed claims what is due, and completes it.
func (l *Load) completeClaimed(b *testing.B, most int) int {
	b.Helper()
	claimed, err := l.Store.Claim(b.Context(), 0, delivery.Room{Fast: most, PerWebhook: most, Lease: held})
	if err != nil {
		b.Fatal(err)
	}
	outcomes := make([]delivery.Outcome, len(claimed.Jobs))
	for i := range claimed.Jobs {
		job := &claimed.Jobs[i]
		outcomes[i] = delivery.Outcome{
			Request:    l.success(job.Event, job.Webhook.ID, delivery.FirstRequestID(job.Webhook.Ref(), job.Event.ID, l.Store.Now())),
			ReceivedAt: job.Event.ReceivedAt, LeaseEnd: job.LeaseEnd, Ordered: job.Ordered,
		}
	}
	if err := errors.Join(l.Store.Complete(b.Context(), outcomes)...); err != nil {
		b.Fatal(err)
	}
	return len(outcomes)
}
