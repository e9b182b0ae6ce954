package redis

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// born is a store with deliveries of one webhook that were born leased, by one Accept.
type born struct {
	*testing.T
	s        *Store
	w        *delivery.Webhook
	call     delivery.AcceptCall
	accepted delivery.Accepted
}

// newBorn makes n deliveries, whose lease is so long.
func newBorn(t *testing.T, s *Store, n int, lease time.Duration) *born {
	t.Helper()
	b := &born{T: t, s: s, w: addWebhook(t, s, testTenant)}
	b.accept(n, lease)
	return b
}

func (b *born) accept(n int, lease time.Duration) {
	b.Helper()
	b.call = newCall(b.s, b.w, n, 10, true)
	b.accepted = b.s.Accept(b.Context(), delivery.AcceptBatch{
		Calls: []delivery.AcceptCall{b.call}, Lease: lease, Retention: testRetention,
	})[0]
	if b.accepted.Err != nil {
		b.Fatal(b.accepted.Err)
	}
}

// outcome is the success of one delivery's first attempt, at once.
func (b *born) outcome(i int) delivery.Outcome {
	return begunAfter(5*time.Millisecond, success(b.s, b.w, &b.call.Events[i], &b.accepted))
}

// retry is the failure of it, which asks for another attempt after a while.
func (b *born) retry(i int, after time.Duration) delivery.Outcome {
	o := b.outcome(i)
	o.Request.Status, o.Request.StatusCode, o.RetryAt = delivery.RequestFailed, 500, b.s.Now().Add(after)
	return o
}

func (b *born) complete(outcomes ...delivery.Outcome) {
	b.Helper()
	if err := errors.Join(b.s.Complete(b.Context(), outcomes)...); err != nil {
		b.Fatal(err)
	}
}

func (b *born) lease(i int) delivery.Lease {
	return delivery.Lease{Webhook: b.w.Ref(), EventID: b.call.Events[i].ID, LeaseEnd: b.accepted.LeaseEnd}
}

// keys are those of leases.
func (b *born) keys() []string {
	base := b.s.keys.base(0)
	return b.s.client().Keys(b.Context(), base+"lease*").Val()
}

// want checks the delivery of an event.
func (b *born) want(i int, status delivery.DeliveryStatus, attempts int) {
	b.Helper()
	_, deliveries, err := b.s.Event(b.Context(), testTenant, b.call.Events[i].ID)
	if err != nil || len(deliveries) != 1 || deliveries[0].Status != status || deliveries[0].Attempts != attempts {
		b.Errorf("the deliveries are %+v, %v, want %s after %d attempts", deliveries, err, status, attempts)
	}
}

// wantPending checks how many are pending, leased or not.
func (b *born) wantPending(n int64) {
	b.Helper()
	total, err := b.s.Pending(b.Context())
	if err != nil || total != n {
		b.Errorf("%d are pending, %v, want %d", total, err, n)
	}
	of, err := b.s.WebhookPending(b.Context(), testTenant, []uuid.UUID{b.w.ID, uuid.New()})
	if err != nil || !slices.Equal(of, []int64{n, 0}) {
		b.Errorf("%v are pending of the webhook and of another, %v, want %d", of, err, n)
	}
}

// wantScheduled checks what is on the schedule of the webhook, and whether that has a place.
func (b *born) wantScheduled(n int64) {
	b.Helper()
	base, ref := b.s.keys.base(0), refText(b.w.Ref())
	got := b.s.client().ZCard(b.Context(), base+"pending:"+ref).Val()
	_, err := b.s.client().ZScore(b.Context(), base+"due", ref).Result()
	if got != n || (err == nil) != (n > 0) {
		b.Errorf("%d are on the schedule, want %d; the place: %v", got, n, err)
	}
}

func (b *born) wantNoLeases() {
	b.Helper()
	if keys := b.keys(); len(keys) > 0 {
		b.Errorf("there is still %q", keys)
	}
}

// claimAll waits until n deliveries of the webhook are claimed.
func (b *born) claimAll(n int) (jobs []delivery.Job) {
	b.Helper()
	eventually(b, "deliveries fall due", func() error {
		for _, job := range claim(b, b.s) {
			if job.Webhook.ID == b.w.ID {
				jobs = append(jobs, job)
			}
		}
		return countJobs(jobs, n)
	})
	return jobs
}

// TestBornLeased has deliveries stay out of the schedule while they are leased: they are pending,
// and nobody else gets them.
func TestBornLeased(t *testing.T) {
	t.Parallel()
	b := newBorn(t, open(t, options()), 3, testLease)
	b.wantPending(3)
	b.wantScheduled(0)
	b.want(0, delivery.DeliveryPending, 0)
	if jobs := claim(t, b.s); len(jobs) > 0 {
		t.Errorf("claimed is %+v", jobs)
	}
	b.complete(b.outcome(0), b.outcome(1))
	b.wantPending(1)
	b.want(0, delivery.DeliverySuccess, 1)
	b.want(2, delivery.DeliveryPending, 0)
	b.complete(b.retry(2, time.Hour))
	b.want(2, delivery.DeliveryPending, 1)
	b.wantPending(1)
	b.wantScheduled(1)
	b.wantNoLeases()
}

// TestBornLeasedNext checks that Claim says when leases end.
func TestBornLeasedNext(t *testing.T) {
	t.Parallel()
	b := newBorn(t, open(t, options()), 1, delivery.ClaimEvery/2)
	claimed, err := b.s.Claim(t.Context(), 0, delivery.Room{Fast: 1, PerWebhook: 1, Lease: testLease})
	most := delivery.ClaimEvery/2 + time.Second // it may end a little later
	if err != nil || claimed.Next > most || claimed.Due > most {
		t.Errorf("the next claim is %+v, %v", claimed, err)
	}
}

// TestBornLeasedEnds has leases end whose holder has died.
func TestBornLeasedEnds(t *testing.T) {
	t.Parallel()
	b := newBorn(t, open(t, options()), 3, time.Millisecond)
	jobs := b.claimAll(3)
	b.wantNoLeases()
	b.wantPending(3)
	b.wantScheduled(3)
	for _, job := range jobs {
		if job.Attempt != 1 || job.Due.UnixMilli() != b.accepted.LeaseEnd || job.LeaseEnd == b.accepted.LeaseEnd {
			t.Errorf("claimed is %+v, whose lease ended at %d", job, b.accepted.LeaseEnd)
		}
	}
	b.complete(b.retry(0, time.Hour)) // too late
	b.want(0, delivery.DeliveryPending, 0)
	if err := b.s.Release(t.Context(), []delivery.Lease{b.lease(1)}); err != nil {
		t.Fatal(err)
	}
	if jobs := claim(t, b.s); len(jobs) > 0 {
		t.Errorf("claimed is %+v", jobs)
	}
}

// TestBornLeasedMany has more leases end than one claim puts back.
func TestBornLeasedMany(t *testing.T) {
	t.Parallel()
	b := newBorn(t, open(t, options()), 2500, time.Millisecond)
	b.accept(1, time.Millisecond)
	got := make(map[uuid.UUID]bool)
	eventually(t, "all are claimed", func() error {
		claimed, err := b.s.Claim(t.Context(), 0, delivery.Room{Fast: 5000, PerWebhook: 5000, Lease: testLease})
		if err != nil {
			return err
		}
		for _, job := range claimed.Jobs {
			if got[job.Event.ID] {
				t.Error("one was claimed twice")
			}
			got[job.Event.ID] = true
		}
		if len(got) < 2501 {
			return fmt.Errorf("%d are claimed, the next claim is after %s", len(got), claimed.Next)
		}
		return nil
	})
	b.wantNoLeases()
}

// TestBornLeasedLate has an outcome come after the end of its lease, before anybody has claimed
// the delivery, which may be on the schedule by then.
func TestBornLeasedLate(t *testing.T) {
	t.Parallel()
	for _, putBack := range []bool{false, true} {
		t.Run(fmt.Sprint(putBack), func(t *testing.T) {
			t.Parallel()
			b := newBorn(t, open(t, options()), 2, time.Millisecond)
			eventually(t, "the lease has ended", func() error {
				if b.s.Now().UnixMilli() <= b.accepted.LeaseEnd {
					return errors.New("not yet")
				}
				return nil
			})
			if putBack {
				room := delivery.Room{Fast: 1, Webhooks: map[delivery.WebhookRef]int{b.w.Ref(): 0}, Lease: testLease}
				eventually(t, "they are on the schedule", func() error {
					_, err := b.s.Claim(t.Context(), 0, room)
					if len(b.keys()) > 0 {
						return errors.New("not yet")
					}
					return err
				})
				b.leaseAgain(0) // as if that had broken off
			}
			b.complete(b.outcome(0))
			b.want(0, delivery.DeliverySuccess, 1)
			b.wantPending(1)
			if err := b.s.Release(t.Context(), []delivery.Lease{b.lease(1)}); err != nil {
				t.Fatal(err)
			}
			if jobs := b.claimAll(1); jobs[0].Event.ID != b.call.Events[1].ID {
				t.Errorf("claimed is %+v", jobs)
			}
			b.wantNoLeases()
		})
	}
}

// TestBornLeasedReleased hands deliveries back. A token that is another's does nothing.
func TestBornLeasedReleased(t *testing.T) {
	t.Parallel()
	b := newBorn(t, open(t, options()), 2, testLease)
	other := b.lease(1)
	other.LeaseEnd++
	if err := b.s.Release(t.Context(), []delivery.Lease{b.lease(0), other}); err != nil {
		t.Fatal(err)
	}
	b.wantScheduled(1)
	b.wantPending(2)
	if jobs := claim(t, b.s); len(jobs) != 1 || jobs[0].Event.ID != b.call.Events[0].ID || jobs[0].Attempt != 1 {
		t.Errorf("claimed is %+v", jobs)
	}
	b.complete(b.outcome(0)) // of the lease that was handed back
	b.want(0, delivery.DeliveryPending, 0)
}

// TestBornLeasedRerun runs requests again while the delivery is leased: a success ends it.
func TestBornLeasedRerun(t *testing.T) {
	t.Parallel()
	b := newBorn(t, open(t, options()), 2, testLease)
	for i, status := range []delivery.RequestStatus{delivery.RequestSuccess, delivery.RequestFailed} {
		again := b.outcome(i)
		asRerun(&again)
		again.Request.ID, again.Request.Status = delivery.NewID(b.s.Now()), status
		b.complete(again)
	}
	b.want(0, delivery.DeliverySuccess, 0)
	b.want(1, delivery.DeliveryPending, 0)
	b.wantPending(1)
	lost := b.outcome(0)
	lost.LeaseEnd++
	b.complete(b.outcome(1))
	b.want(1, delivery.DeliverySuccess, 1)
	b.wantNoLeases()
}

// TestBornLeasedLost completes under a token that is not the lease's, while the delivery is leased.
func TestBornLeasedLost(t *testing.T) {
	t.Parallel()
	b := newBorn(t, open(t, options()), 1, testLease)
	lost := b.outcome(0)
	lost.LeaseEnd++
	b.complete(lost)
	b.want(0, delivery.DeliveryPending, 0)
	b.wantPending(1)
	other := b.outcome(0)
	other.Request.ID = delivery.NewID(b.s.Now())
	b.complete(other)
	b.want(0, delivery.DeliverySuccess, 1)
	b.wantNoLeases()
}

// TestBornLeasedDeleted deletes a webhook whose deliveries are leased, beside those of another.
func TestBornLeasedDeleted(t *testing.T) {
	t.Parallel()
	b := newBorn(t, open(t, options()), 3, testLease)
	other := newBorn(t, b.s, 1, testLease)
	if err := b.s.DeleteWebhook(t.Context(), b.w.Ref()); err != nil {
		t.Fatal(err)
	}
	other.wantPending(1)
	b.complete(b.outcome(0))
	other.complete(other.outcome(0))
	other.wantPending(0)
	b.wantNoLeases()
}

// TestBornLeasedGone has leases end of a webhook that is gone, as if deleting it had broken off.
func TestBornLeasedGone(t *testing.T) {
	t.Parallel()
	b := newBorn(t, open(t, options()), 1, time.Millisecond)
	if err := b.s.DeleteWebhook(t.Context(), b.w.Ref()); err != nil {
		t.Fatal(err)
	}
	b.leaseAgain(0)
	eventually(t, "the lease has ended", func() error { return countJobs(claim(t, b.s), len(b.keys())) })
	b.wantPending(0)
	b.wantScheduled(0)
}

// TestBornLeasedPaused pauses a webhook whose deliveries are leased. They wait until it is
// resumed.
func TestBornLeasedPaused(t *testing.T) {
	t.Parallel()
	b := newBorn(t, open(t, options()), 2, time.Millisecond)
	for _, enabled := range []bool{false, true} {
		changed := *b.w
		changed.Enabled = enabled
		if err := b.s.UpdateWebhook(t.Context(), &changed, version(b.s, testTenant)); err != nil {
			t.Fatal(err)
		}
		if !enabled {
			eventually(t, "the lease has ended", func() error { return countJobs(claim(t, b.s), len(b.keys())) })
			if n := b.s.client().ZCard(t.Context(), b.s.keys.base(0)+"paused").Val(); n != 1 {
				t.Errorf("%d webhooks are paused with deliveries, want 1", n)
			}
		}
	}
	b.claimAll(2)
}

// TestBornLeasedWithoutState loses the state of the webhook while deliveries are leased.
func TestBornLeasedWithoutState(t *testing.T) {
	t.Parallel()
	b := newBorn(t, open(t, options()), 1, time.Millisecond)
	b.s.client().Del(t.Context(), b.s.keys.base(0)+"state")
	b.claimAll(1)
}

// TestBornLeasedUnreadable has other programs write to the keys of leases.
func TestBornLeasedUnreadable(t *testing.T) {
	t.Parallel()
	b := newBorn(t, open(t, options()), 1, time.Millisecond)
	base := b.s.keys.base(0)
	set := base + "leased:" + fmt.Sprint(b.accepted.LeaseEnd)
	b.s.client().SAdd(t.Context(), set, garbage, "", strings.Repeat("x", 100))
	b.s.client().ZAdd(t.Context(), base+"leases", redis.Z{Score: 1, Member: garbage})
	b.want(0, delivery.DeliveryPending, 0)
	b.claimAll(1)
	b.wantNoLeases()
	if n := b.s.SetAside(); n != 4 {
		t.Errorf("%d records were set aside, want 4", n)
	}
	if n := b.s.client().XLen(t.Context(), base+"aside").Val(); n != 4 {
		t.Errorf("%d records are kept, want 4", n)
	}
}

// TestBornLeasedCopied copies deliveries that are leased: they fall due when the lease ends.
func TestBornLeasedCopied(t *testing.T) {
	t.Parallel()
	b := newBorn(t, open(t, options()), 2, testLease)
	to := open(t, options())
	mustCopy(t, b.s, to)
	for _, e := range b.call.Events {
		due := to.client().ZScore(t.Context(), pendingKey(to.keys.base(0), b.w.Ref()), string(e.ID[:])).Val()
		if int64(due) != b.accepted.LeaseEnd {
			t.Errorf("it is due at %.0f, want %d", due, b.accepted.LeaseEnd)
		}
	}
}

// TestBornLeasedOfMany reads an event of many webhooks while many leases are open: each is looked
// at once by each script, and not for each delivery.
func TestBornLeasedOfMany(t *testing.T) {
	const leases, webhooks = 20, 30
	b := newBorn(t, open(t, options()), 1, 20*time.Second)
	for i := 1; i < leases; i++ {
		b.accept(1, 20*time.Second+time.Duration(i)*time.Second)
	}
	targets := make([]delivery.Target, webhooks)
	for i := range targets {
		targets[i] = delivery.Target{Webhook: addWebhook(t, b.s, testTenant).ID, Lease: true}
	}
	call := newCall(b.s, b.w, 1, 10, true)
	call.Events[0].Targets = targets
	mustAccept(t, b.s, call)
	for name, read := range map[string]func() error{
		"the event": func() error {
			_, deliveries, err := b.s.Event(t.Context(), testTenant, call.Events[0].ID)
			for _, d := range deliveries {
				if d.Status != delivery.DeliveryPending {
					err = fmt.Errorf("a delivery is %s", d.Status)
				}
			}
			return err
		},
		"its requests": func() error {
			_, err := b.s.Requests(t.Context(), testTenant, delivery.RequestFilter{EventID: call.Events[0].ID, Limit: 10})
			return err
		},
	} {
		before := calls(t, b.s, "smismember")
		if err := read(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		const scripts = (webhooks + deliveriesPerScript - 1) / deliveriesPerScript
		if n := calls(t, b.s, "smismember") - before; n > scripts*(leases+1) {
			t.Errorf("%s: leases are looked at %d times by %d scripts; there are %d of them", name, n, scripts, leases)
		}
	}
}
