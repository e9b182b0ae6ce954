package storetest

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Limits of which the first never has a second request begin while a test runs, and the second
// never has one wait for long.
var (
	seldom = &delivery.RateLimit{Requests: 1, Per: time.Hour}
	often  = &delivery.RateLimit{Requests: 1000, Per: time.Second}
)

// limited makes a webhook with a limit.
func (f *fixture) limited(limit *delivery.RateLimit) *delivery.Webhook {
	f.Helper()
	w := f.newWebhook(tenant)
	w.RateLimit = limit
	f.must(f.store.CreateWebhook(f.Context(), w, delivery.MaxWebhooks))
	return w
}

// one claims one delivery, and no more, which may begin at once.
func (f *fixture) one(what string, w *delivery.Webhook) *delivery.Job {
	f.Helper()
	jobs := f.claimSome(wideRoom).Jobs
	if len(jobs) != 1 || jobs[0].Webhook.ID != w.ID || jobs[0].StartIn > delivery.StartsAhead || jobs[0].StartIn < 0 {
		f.Fatalf("%s: claimed %+v, want one delivery of %s", what, jobs, w.ID)
	}
	return &jobs[0]
}

// testRateWaits has deliveries wait for their webhook's rate: they are not due, and others are.
func testRateWaits(f *fixture) {
	w, other := f.limited(seldom), f.webhook(tenant)
	result := f.accept(held, leased(f.event(w)), f.event(w), f.event(w))
	if !slices.Equal(result.Unleased, []uuid.UUID{w.ID}) {
		f.Errorf("unleased: %v, want the webhook with a rate", result.Unleased)
	}
	job := f.one("at first", w)
	waits := func(what string) {
		f.Helper()
		claimed := f.claim(wideRoom)
		if len(claimed.Jobs) > 0 || claimed.Next < time.Second || claimed.Due < time.Second || claimed.Oldest > 0 {
			f.Fatalf("%s: %d jobs, the next in %s, due in %s, since %s: want none that is due", what, len(claimed.Jobs), claimed.Next, claimed.Due, claimed.Oldest)
		}
	}
	waits("after the first request")
	f.accept(held, f.event(w), f.event(other))
	f.one("while the rate has others wait", other)
	waits("after an event")
	f.complete(retried(f.outcome(job), f.store.Now().Add(-time.Minute)))
	waits("while a retry is due")
	f.update(w, func(w *delivery.Webhook) { w.Enabled = false })
	waits("while it is disabled")
	f.update(w, func(w *delivery.Webhook) { w.Enabled, w.URL = true, "https://example.org/else" })
	waits("after a change that is not of the rate")
	if n, err := f.store.Pending(f.Context()); err != nil || n != 5 {
		f.Errorf("%d deliveries are pending (%v), want 4, and one that is claimed", n, err)
	}
	f.update(w, func(w *delivery.Webhook) { w.RateLimit = nil })
	if jobs := f.drain(wideRoom); len(jobs) != 4 || jobs[0].StartIn != 0 {
		f.Errorf("%d deliveries are due without a rate, want 4: %+v", len(jobs), jobs)
	}
}

// testRateChanges gives webhooks other rates: they count at once.
func testRateChanges(f *fixture) {
	w := f.webhook(tenant)
	f.accept(held, f.event(w), f.event(w), f.event(w), f.event(w))
	f.update(w, func(w *delivery.Webhook) { w.RateLimit = seldom })
	first := f.one("with a new rate", w)
	f.must(f.store.Release(f.Context(), []delivery.Lease{{Webhook: w.Ref(), EventID: first.Event.ID, LeaseEnd: first.LeaseEnd}}))
	f.nothingDue() // what was not used is lost
	f.update(w, func(w *delivery.Webhook) { w.RateLimit = &delivery.RateLimit{Requests: 1, Per: 24 * time.Hour} })
	f.nothingDue()
	f.update(w, func(w *delivery.Webhook) { w.RateLimit = often })
	if jobs := f.drain(wideRoom); len(jobs) != 4 {
		f.Errorf("%d deliveries were due at a higher rate, want 4", len(jobs))
	}
	f.must(f.store.DeleteWebhook(f.Context(), w.Ref()))
	f.nothingDue()
}

// testRateSlow has a rate hold also while a webhook is slow, and when it responds again.
func testRateSlow(f *fixture) {
	w := f.limited(often)
	f.accept(held, f.event(w), f.event(w))
	jobs := f.drain(wideRoom)
	if len(jobs) != 2 {
		f.Fatalf("%d jobs, want 2", len(jobs))
	}
	o := retried(f.outcome(&jobs[0]), f.store.Now())
	o.Slow = true
	f.complete(o)
	f.update(w, func(w *delivery.Webhook) { w.RateLimit = seldom })
	slow := f.one("of the slow webhook", w)
	if !slow.Slow {
		f.Errorf("claimed %+v, want a job of a slow webhook", slow)
	}
	f.accept(held, f.event(w))
	f.nothingDue()
	f.complete(succeeded(f.outcome(slow)))
	f.nothingDue()
	f.update(w, func(w *delivery.Webhook) { w.RateLimit = nil })
	if jobs := f.claim(delivery.Room{Fast: 10, PerWebhook: 10, Lease: held}).Jobs; len(jobs) != 1 || jobs[0].Slow {
		f.Errorf("claimed %+v, want one job of a webhook that is not slow", jobs)
	}
}

// testTakeStart takes starts for requests that are not on the schedule.
func testTakeStart(f *fixture) {
	w, free := f.limited(seldom), f.webhook(tenant)
	take := func(what string, ref delivery.WebhookRef, least, most time.Duration) {
		f.Helper()
		if in, err := f.store.TakeStart(f.Context(), ref, false); err != nil || in < least || in > most {
			f.Errorf("%s: a start in %s (%v), want %s to %s", what, in, err, least, most)
		}
	}
	for range 3 { // with free, only the first one is taken
		if _, err := f.store.TakeStart(f.Context(), w.Ref(), true); err != nil {
			f.Fatal(err)
		}
	}
	f.accept(held, f.event(w))
	f.nothingDue()
	take("the next one", w.Ref(), time.Hour-patience, time.Hour)
	take("the one after that", w.Ref(), 2*time.Hour-patience, 2*time.Hour)
	for i := range 4 {
		if in, err := f.store.TakeStart(f.Context(), free.Ref(), i < 2); err != nil || in != 0 {
			f.Errorf("without a rate: a start in %s (%v)", in, err)
		}
	}
	if in, err := f.store.TakeStart(f.Context(), w.Ref(), true); err != nil || in < 3*time.Hour-patience {
		f.Errorf("none is free: a start in %s (%v)", in, err)
	}
	f.update(w, func(w *delivery.Webhook) { w.RateLimit = often })
	f.one("at a higher rate", w)
	for _, ref := range []delivery.WebhookRef{{Tenant: tenant, ID: uuid.New()}, {Tenant: "other", ID: w.ID}} {
		if _, err := f.store.TakeStart(f.Context(), ref, true); !errors.Is(err, delivery.ErrNotFound) {
			f.Errorf("a start of an unknown webhook: %v", err)
		}
	}
}

// start is when a request may begin, by the clock of the test: not before from, nor after to.
type start struct{ from, to time.Time }

// spaced checks that starts are as far apart as a limit asks for, by what is known of each. A store
// counts in milliseconds.
func (f *fixture) spaced(limit *delivery.RateLimit, starts []start) {
	f.Helper()
	slices.SortFunc(starts, func(a, b start) int { return a.from.Compare(b.from) })
	for i := range starts {
		last := starts[i].to
		for j := i + 1; j < len(starts); j++ {
			if starts[j].to.After(last) {
				last = starts[j].to
			}
			least := time.Duration(limit.Span(j-i))*time.Microsecond - 2*time.Millisecond
			if apart := last.Sub(starts[i].from); apart < least {
				f.Fatalf("%d requests may begin within %s, want %s at least", j-i+1, apart, least)
			}
		}
	}
}

// testRateSpaces has several claim at the same time, and others take starts: together they have no
// more than there are.
func testRateSpaces(f *fixture) {
	limit := &delivery.RateLimit{Requests: 200, Per: time.Second}
	w := f.limited(limit)
	const events = 120
	for range events / 10 {
		var some []delivery.AcceptEvent
		for range 10 {
			some = append(some, f.event(w))
		}
		f.accept(held, some...)
	}
	var mu sync.Mutex
	var starts []start
	taken := 0
	add := func(began time.Time, claimed int, in ...time.Duration) (all int) {
		ended := time.Now()
		mu.Lock()
		defer mu.Unlock()
		for _, d := range in {
			starts = append(starts, start{began.Add(d), ended.Add(d)})
		}
		taken += claimed
		return taken
	}
	var claimers sync.WaitGroup
	for n := range 4 {
		claimers.Go(func() {
			for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
				began := time.Now()
				if n == 0 {
					in, err := f.store.TakeStart(f.Context(), w.Ref(), false)
					if err != nil || add(began, 0, in) == events {
						return
					}
					time.Sleep(20 * time.Millisecond)
					continue
				}
				claimed, err := f.claimAll(delivery.Room{Fast: 7, PerWebhook: 7, Lease: held})
				if err != nil {
					f.Error(err)
					return
				}
				in := make([]time.Duration, len(claimed.Jobs))
				for i := range claimed.Jobs {
					in[i] = claimed.Jobs[i].StartIn
				}
				if add(began, len(in), in...) == events {
					return
				}
				if len(in) == 0 {
					time.Sleep(pollEvery)
				}
			}
		})
	}
	claimers.Wait()
	if taken != events {
		f.Fatalf("%d deliveries were claimed, want %d", taken, events)
	}
	f.spaced(limit, starts)
}
