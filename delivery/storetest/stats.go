package storetest

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// tallies has the number of requests of each kind; N in the keys is 0.
type tallies map[delivery.RequestCount]int64

func (t tallies) add(r *delivery.Request) {
	t[delivery.RequestCount{
		Since: r.StartedAt().Truncate(delivery.StatsSlice), Status: r.Status, Duration: delivery.DurationBucket(r.Duration),
	}]++
}

// since gives the tallies from the slice of a time on.
func (t tallies) since(at time.Time) tallies {
	some := maps.Clone(t)
	maps.DeleteFunc(some, func(c delivery.RequestCount, _ int64) bool { return c.Since.Before(at.Truncate(delivery.StatsSlice)) })
	return some
}

func tally(outcomes ...delivery.Outcome) tallies {
	all := make(tallies)
	for i := range outcomes {
		all.add(&outcomes[i].Request)
	}
	return all
}

// requestCounts reads the counts of a tenant's requests.
func (f *fixture) requestCounts(tenant string, since time.Time) tallies {
	f.Helper()
	counts, err := f.store.RequestCounts(f.Context(), tenant, since)
	f.must(err)
	all := make(tallies)
	for _, c := range counts {
		n := c.N
		c.N = 0
		all[c] += n
	}
	return all
}

func (f *fixture) wantCounts(when, tenant string, since time.Time, want tallies) {
	f.Helper()
	if got := f.requestCounts(tenant, since); !maps.Equal(got, want.since(since)) {
		f.Errorf("%s: the requests of %s since %s are counted\n%v, want\n%v", when, tenant, since, got, want.since(since))
	}
}

func (f *fixture) webhookRequests(tenant string, since time.Time, webhooks ...uuid.UUID) []delivery.WebhookRequests {
	f.Helper()
	all, err := f.store.WebhookRequests(f.Context(), tenant, webhooks, since)
	f.must(err)
	if len(all) != len(webhooks) {
		f.Fatalf("got %+v of %d webhooks", all, len(webhooks))
	}
	return all
}

func (f *fixture) webhookPending(tenant string, webhooks ...uuid.UUID) []int64 {
	f.Helper()
	all, err := f.store.WebhookPending(f.Context(), tenant, webhooks)
	f.must(err)
	return all
}

// lasting gives an outcome a duration and an age.
func (f *fixture) lasting(o delivery.Outcome, d, age time.Duration) delivery.Outcome {
	o.Request.Duration = d
	o.Request.ID = delivery.NewID(f.store.Now().Add(-age))
	return o
}

func testRequestCounts(f *fixture) {
	const day = 24 * time.Hour
	f.wantCounts("before the first webhook", tenant, f.store.Now().Add(-day), nil)
	w, gone, other := f.webhook(tenant), f.webhook(tenant), f.webhook("other")
	job, lost, foreign := f.bornLeased(w, held), f.bornLeased(gone, held), f.bornLeased(other, held)
	failed := f.lasting(retried(f.outcome(job), f.store.Now().Add(time.Hour)), 15*time.Second, 0)
	rerun := func(job *delivery.Job, d, age time.Duration) delivery.Outcome {
		return f.lasting(manual(succeeded(f.outcome(job)), delivery.TriggerRerun), d, age)
	}
	all := []delivery.Outcome{
		failed, rerun(job, time.Millisecond, 0), rerun(job, time.Millisecond, 0), rerun(job, 10*time.Minute, 0),
		rerun(job, 0, 6*time.Minute), rerun(job, time.Second, 61*time.Minute), rerun(job, time.Second, 6*day),
		rerun(lost, time.Millisecond, 0), f.lasting(manual(f.outcome(lost), delivery.TriggerTest), time.Hour, 2*time.Hour),
	}
	others := []delivery.Outcome{rerun(foreign, time.Millisecond, 0)}
	f.complete(append(append(slices.Clone(all), failed), others...)...)
	f.complete(all[3:]...)
	check := func(when string) {
		f.Helper()
		for _, age := range []time.Duration{0, 6 * time.Minute, 2 * time.Hour, 7 * day} {
			f.wantCounts(when, tenant, f.store.Now().Add(-age), tally(all...))
			f.wantCounts(when, "other", f.store.Now().Add(-age), tally(others...))
		}
		f.wantCounts(when, "nobody", f.store.Now().Add(-7*day), nil)
	}
	check("written twice")
	f.must(f.store.DeleteWebhook(f.Context(), gone.Ref()))
	check("after a webhook was deleted")
	f.complete(rerun(lost, time.Second, 0))
	check("after the outcome of a deleted webhook")
	f.sweep(retention)
	check("after the sweep")
}

func testWebhookRequests(f *fixture) {
	w, quiet, other := f.webhook(tenant), f.webhook(tenant), f.webhook("other")
	job, foreign := f.bornLeased(w, held), f.bornLeased(other, held)
	ages := []time.Duration{20 * time.Hour, time.Hour, 0, 0, 3 * 24 * time.Hour, 5 * time.Hour}
	var want delivery.WebhookRequests
	var outcomes []delivery.Outcome
	for i, age := range ages {
		o := f.lasting(manual(f.outcome(job), delivery.TriggerRerun), time.Second, age)
		o.Request.EventType = []string{"alert_active", "alert_resolved"}[i%2]
		if i%3 == 0 {
			o = succeeded(o)
		}
		outcomes = append(outcomes, o)
	}
	f.complete(append(outcomes, manual(f.outcome(foreign), delivery.TriggerRerun))...)
	f.complete(outcomes...)
	since := f.store.Now().Add(-23 * time.Hour)
	slices.SortFunc(outcomes, func(a, b delivery.Outcome) int {
		return a.Request.StartedAt().Compare(b.Request.StartedAt())
	})
	for i := range outcomes {
		want.LastAt = outcomes[i].Request.StartedAt()
		if hour := want.LastAt.Truncate(time.Hour); !hour.Before(since.Truncate(time.Hour)) {
			want.Add(hour, outcomes[i].Request.Status, 1)
		}
	}
	got := f.webhookRequests(tenant, since, quiet.ID, w.ID)
	if want := []delivery.WebhookRequests{{}, want}; !reflect.DeepEqual(got, want) {
		f.Errorf("there were\n%+v, want\n%+v", got, want)
	}
	if got := f.webhookRequests("other", since, w.ID, other.ID); !reflect.DeepEqual(got[0], delivery.WebhookRequests{}) || len(got[1].Hours) != 1 {
		f.Errorf("another tenant has %+v", got)
	}
	// More than a store reads at a time. The last one has a request.
	const many = 1001
	ids := make([]uuid.UUID, many)
	for i := range ids[:many-1] {
		ids[i] = quiet.ID
	}
	ids[many-1] = w.ID
	if got := f.webhookRequests(tenant, since, ids...); !got[many-1].LastAt.Equal(want.LastAt) || !got[many-2].LastAt.IsZero() {
		f.Errorf("of many the last are %+v", got[many-2:])
	}
}

func testWebhookPending(f *fixture) {
	const many = 1100 // more than a store reads at a time
	webhooks := f.webhooks(tenant, many)
	ids := make([]uuid.UUID, many)
	for i, w := range webhooks {
		ids[i] = w.ID
	}
	first, last := webhooks[0], webhooks[many-1]
	f.accept(held, f.event(first, last), f.event(first), f.event(webhooks[1]))
	job := f.bornLeased(last, held)
	f.update(first, func(w *delivery.Webhook) { w.Enabled = false })
	f.must(f.store.DeleteWebhook(f.Context(), webhooks[1].Ref()))
	want := func(n int64) {
		f.Helper()
		got := f.webhookPending(tenant, ids...)
		if len(got) != many || got[0] != 2 || got[1] != 0 || got[2] != 0 || got[many-1] != n {
			f.Errorf("there are %d pending of %d webhooks, want 2, 0, 0 and %d in the end", got, len(got), n)
		}
	}
	want(2)
	f.complete(succeeded(f.outcome(job)))
	want(1)
	if got := f.webhookPending("other", ids[0]); got[0] != 0 {
		f.Errorf("another tenant has %d pending", got[0])
	}
}

// testStatsKept checks that counters are removed when they are too old, whatever the retention
// is.
func testStatsKept(f *fixture) {
	const day = 24 * time.Hour
	w := f.webhook(tenant)
	job := f.bornLeased(w, held)
	const old = 1500 // more than one step of Sweep removes
	var outcomes []delivery.Outcome
	for i := range old {
		o := manual(f.outcome(job), delivery.TriggerRerun)
		outcomes = append(outcomes, f.lasting(o, time.Second, delivery.StatsKept+2*time.Hour+time.Duration(i)*delivery.StatsSlice))
	}
	kept := f.lasting(manual(f.outcome(job), delivery.TriggerRerun), time.Second, 7*day)
	f.complete(append(outcomes, kept)...)
	f.sweep(retention)
	f.wantCounts("after the sweep", tenant, f.store.Now().Add(-100*day), tally(kept))
	if got := f.webhookRequests(tenant, f.store.Now().Add(-day), w.ID)[0]; len(got.Hours) != 0 || !got.LastAt.Equal(kept.Request.StartedAt()) {
		f.Errorf("of the webhook there is %+v", got)
	}
	f.sweep(time.Hour)
	f.wantCounts("after a shorter retention", tenant, f.store.Now().Add(-100*day), tally(kept))
	if got := f.webhookRequests(tenant, f.store.Now(), w.ID)[0]; !got.LastAt.IsZero() {
		f.Errorf("a request is at %s that is no longer in the log", got.LastAt)
	}
}

// webhookIDs are the ids of a tenant's webhooks, in random order.
func (r *randomRun) webhookIDs(tenant string) (ids []uuid.UUID) {
	for ref := range r.model.webhooks {
		if ref.Tenant == tenant {
			ids = append(ids, ref.ID)
		}
	}
	return ids
}

// compareStats compares the counts with the model.
func (r *randomRun) compareStats() {
	r.Helper()
	tenant := r.tenant()
	since := r.store.Now().Add(-time.Duration(r.rand.IntN(150)) * time.Hour)
	if got, want := r.requestCounts(tenant, since), r.model.tallies[tenant].since(since); !maps.Equal(got, want) {
		r.Fatalf("since %s there are\n%v, want\n%v", since, got, want)
	}
	ids := r.webhookIDs(tenant)
	lately := r.store.Now().Add(-20 * time.Hour)
	requests, pending := r.webhookRequests(tenant, lately, ids...), r.webhookPending(tenant, ids...)
	for i, id := range ids {
		want := r.model.webhookRequests(delivery.WebhookRef{Tenant: tenant, ID: id}, lately)
		if !reflect.DeepEqual(requests[i], want) {
			r.Fatalf("of %s there is\n%+v, want\n%+v", id, requests[i], want)
		}
		if want := r.model.pendingOf(delivery.WebhookRef{Tenant: tenant, ID: id}); pending[i] != want {
			r.Fatalf("of %s %d are pending, want %d", id, pending[i], want)
		}
	}
}
