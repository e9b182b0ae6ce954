package redis

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// leaseAgain puts a delivery into the set of its lease, as if the script had broken off before
// it took it out.
func (b *born) leaseAgain(i int) {
	b.Helper()
	base, end := b.s.keys.base(0), fmt.Sprint(b.accepted.LeaseEnd)
	client := b.s.client()
	client.ZAdd(b.Context(), base+"leases", redis.Z{Score: float64(b.accepted.LeaseEnd), Member: end})
	client.SAdd(b.Context(), base+"leased:"+end, string(b.call.Events[i].ID[:])+refText(b.w.Ref()))
}

// TestBornLeasedTwice has a script break off after it had put a retry on the schedule, and before
// it ended the lease: the schedule rules.
func TestBornLeasedTwice(t *testing.T) {
	t.Parallel()
	t.Run("repeated", func(t *testing.T) {
		t.Parallel()
		b := newBorn(t, open(t, options()), 1, testLease)
		o := b.retry(0, time.Hour)
		b.complete(o)
		b.leaseAgain(0)
		b.complete(o)
		b.want(0, delivery.DeliveryPending, 1)
		b.wantPending(1)
		b.wantNoLeases()
	})
	t.Run("ended", func(t *testing.T) {
		t.Parallel()
		b := newBorn(t, open(t, options()), 1, time.Millisecond)
		o := b.retry(0, 3*testLease)
		b.complete(o)
		b.leaseAgain(0)
		eventually(t, "the lease has ended", func() error { return countJobs(claim(t, b.s), len(b.keys())) })
		due := b.s.client().ZScore(t.Context(), pendingKey(b.s.keys.base(0), b.w.Ref()), string(b.call.Events[0].ID[:])).Val()
		if want := float64(o.RetryAt.UnixMilli()) - 0.5; due != want { // next attempts have the half millisecond
			t.Errorf("it is due at %.1f, want %.1f", due, want)
		}
	})
	t.Run("claimed", func(t *testing.T) {
		t.Parallel()
		b := newBorn(t, open(t, options()), 1, testLease)
		o := b.retry(0, 0)
		b.complete(o)
		b.leaseAgain(0)
		jobs := b.claimAll(1)
		b.complete(o) // again, while another process has it
		second := b.outcome(0)
		second.Request.ID, second.Request.Attempt, second.LeaseEnd = delivery.NewID(b.s.Now()), 2, jobs[0].LeaseEnd
		b.complete(second)
		b.want(0, delivery.DeliverySuccess, 2)
		b.wantPending(0)
		b.leaseAgain(0)
		b.complete(o) // again, after that
		b.want(0, delivery.DeliverySuccess, 2)
		b.wantPending(0)
		b.wantNoLeases()
	})
}

// TestBornLeasedFinished has the lease outlive the success that was to end it. Until the outcome is
// repeated, a delivery without a state is pending, as claim.lua would have it.
func TestBornLeasedFinished(t *testing.T) {
	t.Parallel()
	for after, status := range map[time.Duration]delivery.DeliveryStatus{
		time.Millisecond: delivery.DeliveryPending, atOnce: delivery.DeliverySuccess,
	} {
		t.Run(after.String(), func(t *testing.T) {
			t.Parallel()
			b := newBorn(t, open(t, options()), 1, testLease)
			o := begunAfter(after, b.outcome(0))
			b.complete(o)
			b.leaseAgain(0)
			if _, deliveries, err := b.s.Event(t.Context(), testTenant, b.call.Events[0].ID); err != nil || deliveries[0].Status != status {
				t.Errorf("the deliveries are %+v, %v, want %s", deliveries, err, status)
			}
			b.complete(o)
			b.want(0, delivery.DeliverySuccess, 1)
			b.wantPending(0)
			b.wantNoLeases()
		})
	}
}

// TestBornLeasedSlow has complete.lua break off before it notes that a webhook is no longer slow.
// Its repetition does.
func TestBornLeasedSlow(t *testing.T) {
	t.Parallel()
	l := newBreakable(t, nil)
	b := newBorn(t, l.s, 1, testLease)
	o := begunAfter(atOnce, b.outcome(0))
	key, ref := b.s.keys.base(0)+"state", refText(b.w.Ref())
	l.root.HSet(t.Context(), key, ref, "es")
	l.denyKind("state", true)
	if err := errors.Join(b.s.Complete(t.Context(), []delivery.Outcome{o})...); err == nil {
		t.Error("it did not break off")
	}
	l.set("~" + b.s.keys.prefix + ":*")
	b.complete(o)
	if state := l.root.HGet(t.Context(), key, ref).Val(); state != "e" {
		t.Errorf("the state is %q, want e", state)
	}
	b.wantNoLeases()
}

// TestBornLeasedBrokenOff has claim.lua break off while it puts back what was leased. Then the
// next one does the rest, and nothing is lost or claimed twice.
func TestBornLeasedBrokenOff(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"pending", "due", "leased", "leases"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			l := newBreakable(t, nil)
			b := newBorn(t, l.s, 2, time.Millisecond)
			l.denyKind(kind, true)
			eventually(t, "it breaks off", func() error {
				if _, err := b.s.Claim(t.Context(), 0, delivery.Room{Fast: 9, PerWebhook: 9, Lease: testLease}); err == nil {
					return errors.New("no error")
				}
				return nil
			})
			l.set("~" + b.s.keys.prefix + ":*")
			b.claimAll(2)
			b.wantNoLeases()
			b.wantScheduled(2)
		})
	}
}

// TestBornLeasedForgotten has another program remove the key of all leases, or one of them: Sweep
// finds the sets, also those of leases that ended since it last looked.
func TestBornLeasedForgotten(t *testing.T) {
	t.Parallel()
	s := open(t, options())
	leases := s.keys.base(0) + "leases"
	b := newBorn(t, s, 3, time.Millisecond)
	find := func(n int) {
		t.Helper()
		eventually(t, "the lease has ended", func() error {
			sweepAll(t, s)
			if s.client().ZCard(t.Context(), leases).Val() == 0 {
				return errors.New("it is not found")
			}
			return nil
		})
		b.claimAll(n)
		b.wantNoLeases()
	}
	s.client().Del(t.Context(), leases)
	find(3)
	b.accept(2, time.Millisecond)
	s.client().ZRem(t.Context(), leases, fmt.Sprint(b.accepted.LeaseEnd))
	find(2)
}
