package storetest

import (
	"bytes"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

func testLeases(f *fixture) {
	w := f.webhook(tenant)
	job := f.bornLeased(w, held)
	f.nothingDue()
	lease := delivery.Lease{Webhook: w.Ref(), EventID: job.Event.ID, LeaseEnd: job.LeaseEnd}
	other := lease
	other.LeaseEnd++
	f.must(f.store.Release(f.Context(), []delivery.Lease{other}))
	f.nothingDue()
	f.must(f.store.Release(f.Context(), []delivery.Lease{lease}))
	f.tick() // a lease of the same length in the same millisecond has the same end

	// The webhook has changed meanwhile: the job has the present one.
	f.update(w, func(w *delivery.Webhook) { w.URL, w.Secret = "https://example.org/moved", "new" })
	now, _, err := f.store.Webhook(f.Context(), w.Ref())
	f.must(err)
	claimed := f.claimSome(wideRoom).Jobs
	if len(claimed) != 1 {
		f.Fatalf("%d jobs, want 1", len(claimed))
	}
	want := delivery.Job{Webhook: now, Event: job.Event, Attempt: 1, LeaseEnd: claimed[0].LeaseEnd, Due: claimed[0].Due}
	if !reflect.DeepEqual(claimed[0], want) {
		f.Errorf("the job is\n%+v, want\n%+v", claimed[0], want)
	}
	if late := f.store.Now().Sub(want.Due); late < -time.Second || late > patience {
		f.Errorf("it fell due %s ago, want: since it was released", late)
	}
	until := time.Until(time.UnixMilli(claimed[0].LeaseEnd).Add(time.Since(f.store.Now())))
	if until < held-patience || until > held+patience {
		f.Errorf("the lease lasts %s, want %s", until, held)
	}
	f.nothingDue()
	f.must(f.store.Release(f.Context(), []delivery.Lease{lease})) // the old one
	f.nothingDue()
	f.must(f.store.Release(f.Context(), nil))
}

func testLeaseEnds(f *fixture) {
	w := f.webhook(tenant)
	f.bornLeased(w, 20*time.Millisecond)
	first := f.claimSome(delivery.Room{Fast: 10, PerWebhook: 10, Lease: 20 * time.Millisecond}).Jobs[0]
	second := f.claimSome(wideRoom).Jobs[0]
	if first.Event.ID != second.Event.ID || first.Attempt != 1 || second.Attempt != 1 {
		f.Errorf("an ended lease was claimed as %+v, then %+v", first, second)
	}
	if first.LeaseEnd >= second.LeaseEnd {
		f.Errorf("the lease to %d was given again before it ended, to %d", first.LeaseEnd, second.LeaseEnd)
	}
}

func testRoom(f *fixture) {
	a, b, c := f.webhook(tenant), f.webhook(tenant), f.webhook(tenant)
	for range 10 {
		f.accept(held, f.event(a, b, c))
	}
	room := delivery.Room{
		Fast: 100, Slow: 100, PerWebhook: 3, Lease: held,
		Webhooks: map[delivery.WebhookRef]int{a.Ref(): 5, b.Ref(): 0},
	}
	count := func(jobs []delivery.Job) map[uuid.UUID]int {
		n := make(map[uuid.UUID]int)
		for i := range jobs {
			n[jobs[i].Webhook.ID]++
		}
		return n
	}
	if got, want := count(f.claim(room).Jobs), (map[uuid.UUID]int{a.ID: 5, c.ID: 3}); !reflect.DeepEqual(got, want) {
		f.Errorf("claimed %v, want %v", got, want)
	}
	if got := f.claim(delivery.Room{PerWebhook: 10, Lease: held}); len(got.Jobs) > 0 {
		f.Errorf("%d jobs without room", len(got.Jobs))
	}
	if got := f.claim(delivery.Room{Slow: 10, PerWebhook: 10, Lease: held}); len(got.Jobs) > 0 {
		f.Errorf("%d jobs of fast webhooks in room for slow ones", len(got.Jobs))
	}
	narrow := delivery.Room{Fast: 4, PerWebhook: 100, Lease: held}
	if claimed := f.claim(narrow); len(claimed.Jobs) != 4 || claimed.Next != 0 {
		f.Errorf("%d jobs in room for 4, and more after %s, while more is due", len(claimed.Jobs), claimed.Next)
	}
	if left, want := len(f.drain(narrow)), 30-8-4; left != want {
		f.Errorf("%d jobs were left, want %d", left, want)
	}
}

// testPassOver puts many webhooks without room before the one that has room.
func testPassOver(f *fixture) {
	const crowd = 350
	hooks := f.webhooks(tenant, crowd+1)
	room := delivery.Room{Fast: 10, Slow: 10, PerWebhook: 1, Lease: held, Webhooks: make(map[delivery.WebhookRef]int)}
	for _, w := range hooks[:crowd] {
		room.Webhooks[w.Ref()] = 0
	}
	f.accept(held, f.event(hooks[:crowd]...))
	last := f.event(hooks[crowd])
	f.accept(held, last)
	claimed := f.claim(room)
	if len(claimed.Jobs) != 1 || claimed.Jobs[0].Event.ID != last.ID {
		f.Fatalf("%d jobs, want the one with room", len(claimed.Jobs))
	}
	if claimed = f.claim(room); len(claimed.Jobs) > 0 || claimed.Next == 0 {
		f.Errorf("%d jobs, and more after %s, though nothing with room is due", len(claimed.Jobs), claimed.Next)
	}
	if claimed.Due != 0 || claimed.Oldest != 0 {
		f.Errorf("something is due after %s, and has been for %s with room, though all that is due has no room", claimed.Due, claimed.Oldest)
	}
}

// testTurns gives one webhook many due deliveries, and another one few.
func testTurns(f *fixture) {
	busy, quiet := f.webhook(tenant), f.webhook(tenant)
	for range 50 {
		f.accept(held, f.event(busy))
	}
	e := f.event(quiet)
	f.accept(held, e)
	narrow := delivery.Room{Fast: 2, PerWebhook: 2, Lease: held}
	for claims := 1; ; claims++ {
		jobs := f.claim(narrow).Jobs
		if slices.ContainsFunc(jobs, func(j delivery.Job) bool { return j.Webhook.ID == quiet.ID }) {
			return
		}
		// Two webhooks take turns; within a millisecond, one may have two in a row.
		if claims > 5 {
			f.Fatalf("%d claims, and the turn of the second webhook has not come", claims)
		}
		f.tick()
	}
}

// tick waits until the store's clock has advanced by a millisecond.
func (f *fixture) tick() {
	f.Helper()
	now := f.store.Now()
	f.eventually("the clock goes on", func() bool { return f.store.Now().Sub(now) > time.Millisecond })
}

func testSlow(f *fixture) {
	slow, fast := f.webhook(tenant), f.webhook(tenant)
	o := f.outcome(f.bornLeased(slow, held))
	o.Slow = true
	f.complete(o)

	result := f.accept(held, leased(f.event(slow, fast)))
	if !slices.Equal(result.Unleased, []uuid.UUID{slow.ID}) {
		f.Fatalf("unleased: %v, want the slow webhook %s", result.Unleased, slow.ID)
	}
	f.accept(held, f.event(slow))
	if jobs := f.claim(delivery.Room{Fast: 10, PerWebhook: 10, Lease: held}).Jobs; len(jobs) > 0 {
		f.Fatalf("%d jobs of a slow webhook in room for fast ones", len(jobs))
	}
	full := delivery.Room{Fast: 10, Slow: 10, PerWebhook: 10, Lease: held, Webhooks: map[delivery.WebhookRef]int{slow.Ref(): 0}}
	if jobs := f.claim(full).Jobs; len(jobs) > 0 {
		f.Fatalf("%d jobs of a slow webhook without room", len(jobs))
	}
	jobs := f.claim(wideRoom).Jobs
	if len(jobs) != 1 || !jobs[0].Slow || jobs[0].Webhook.ID != slow.ID {
		f.Fatalf("claimed %+v, want one job of the slow webhook", jobs)
	}
	// It is still slow after it was paused and resumed.
	f.update(slow, func(w *delivery.Webhook) { w.Enabled = false })
	f.update(slow, func(w *delivery.Webhook) { w.Enabled = true })
	next := f.claim(wideRoom).Jobs
	if len(next) != 1 || !next[0].Slow {
		f.Fatalf("claimed %+v, want one job of the slow webhook", next)
	}
	f.accept(held, f.event(slow), f.event(slow))
	f.complete(succeeded(f.outcome(&jobs[0])))
	jobs = f.claim(delivery.Room{Fast: 10, PerWebhook: 10, Lease: held}).Jobs
	if len(jobs) != 2 || jobs[0].Slow {
		f.Errorf("after a success: %+v, want two jobs in room for fast ones", jobs)
	}
	if result := f.accept(held, leased(f.event(slow))); len(result.Unleased) > 0 {
		f.Error("after a success no lease was given")
	}
}

func testNext(f *fixture) {
	w := f.webhook(tenant)
	claimed := f.claim(wideRoom)
	if claimed.Next <= 0 || claimed.Next > 10*time.Second {
		f.Errorf("with nothing there, the next claim is after %s; want a few seconds", claimed.Next)
	}
	job := f.bornLeased(w, held)
	at := f.store.Now().Add(2 * time.Second)
	f.complete(retried(f.outcome(job), at))
	claimed = f.claim(wideRoom)
	until := at.Sub(f.store.Now())
	if len(claimed.Jobs) == 0 && (claimed.Next < until-10*time.Millisecond || claimed.Next > 2*time.Second+10*time.Millisecond) {
		f.Errorf("the next claim is after %s, while a delivery is due after %s", claimed.Next, until)
	}
	busy := delivery.Room{Fast: 1, Slow: 1, PerWebhook: 1, Lease: held, Webhooks: map[delivery.WebhookRef]int{w.Ref(): 0}}
	if claimed := f.claim(busy); claimed.Next <= 0 {
		f.Errorf("the next claim is after %s, while nothing with room is due", claimed.Next)
	}
	job2 := f.claimSome(wideRoom).Jobs[0]
	if early := at.Truncate(time.Millisecond).Sub(f.store.Now()); early > 100*time.Millisecond {
		f.Errorf("a retry was claimed %s before its time", early)
	}
	if job2.Attempt != 2 {
		f.Errorf("attempt %d, want 2", job2.Attempt)
	}
}

func testPause(f *fixture) {
	w := f.webhook(tenant)
	job := f.bornLeased(w, held)
	waiting := f.event(w)
	f.accept(held, waiting)
	f.update(w, func(w *delivery.Webhook) { w.Enabled = false })
	f.nothingDue()
	// The outcome is written while the webhook is paused.
	f.complete(retried(f.outcome(job), f.store.Now().Add(-time.Second)))
	f.nothingDue()
	f.wantDelivery(&delivery.Job{Webhook: w, Event: &delivery.Event{Tenant: tenant, ID: waiting.ID}},
		delivery.DeliveryPending, 0, f.delivery(&delivery.Job{Webhook: w, Event: &delivery.Event{Tenant: tenant, ID: waiting.ID}}).NextAttemptAt)
	f.update(w, func(w *delivery.Webhook) { w.Enabled = true })
	attempts := make(map[uuid.UUID]int)
	for _, j := range f.claim(wideRoom).Jobs {
		attempts[j.Event.ID] = j.Attempt
	}
	if want := (map[uuid.UUID]int{job.Event.ID: 2, waiting.ID: 1}); !reflect.DeepEqual(attempts, want) {
		f.Errorf("after it was resumed: attempts %v, want %v", attempts, want)
	}

	f.accept(held, f.event(w))
	f.must(f.store.DeleteWebhook(f.Context(), w.Ref()))
	f.nothingDue()
	if _, deliveries, err := f.store.Event(f.Context(), tenant, waiting.ID); err != nil || len(deliveries) != 0 {
		f.Errorf("the deleted webhook's delivery: %+v, %v", deliveries, err)
	}
}

// testClaimedOnce makes many claims at the same time.
func testClaimedOnce(f *fixture) {
	const workers, events = 8, 400
	hooks := f.webhooks(tenant, 5)
	for range events / 100 {
		batch := make([]delivery.AcceptEvent, 100)
		for i := range batch {
			batch[i] = f.event(hooks...)
		}
		f.accept(held, batch...)
	}
	var mu sync.Mutex
	seen := make(map[delivery.Lease]int)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				claimed, err := f.claimAll(delivery.Room{Fast: 30, PerWebhook: 10, Lease: held})
				if err != nil {
					f.Error(err)
					return
				}
				mu.Lock()
				for _, j := range claimed.Jobs {
					seen[delivery.Lease{Webhook: j.Webhook.Ref(), EventID: j.Event.ID}]++
				}
				mu.Unlock()
				if len(claimed.Jobs) == 0 {
					return
				}
			}
		})
	}
	wg.Wait()
	// A claim that overlaps another one may find less than there is.
	for _, j := range f.drain(wideRoom) {
		seen[delivery.Lease{Webhook: j.Webhook.Ref(), EventID: j.Event.ID}]++
	}
	if len(seen) != events*len(hooks) {
		f.Errorf("%d deliveries were claimed, want %d", len(seen), events*len(hooks))
	}
	for lease, n := range seen {
		if n != 1 {
			f.Errorf("%v was claimed %d times", lease, n)
		}
	}
}

// sortIDs sorts ids in descending order, like pages.
func sortIDs(ids []uuid.UUID) {
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(b[:], a[:]) })
}
