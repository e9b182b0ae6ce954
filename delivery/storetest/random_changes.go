package storetest

import (
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

func (r *randomRun) completeSome() {
	var outcomes []delivery.Outcome
	for range 1 + r.rand.IntN(6) {
		if o, ok := r.randomOutcome(); ok {
			outcomes = append(outcomes, o)
		}
	}
	r.complete(outcomes...)
	r.outcomes = append(r.outcomes, outcomes...)
	for i := range outcomes {
		r.model.complete(&outcomes[i])
	}
}

// randomOutcome is an outcome under a lease that is or was held, one of a re-run, or one that
// was written before.
func (r *randomRun) randomOutcome() (delivery.Outcome, bool) {
	if r.chance(5) && len(r.outcomes) > 0 {
		return r.outcomes[r.rand.IntN(len(r.outcomes))], true
	}
	if len(r.held) == 0 {
		return delivery.Outcome{}, false
	}
	i := r.rand.IntN(len(r.held))
	job := r.held[i]
	if r.chance(80) {
		r.held = slices.Delete(r.held, i, i+1)
	}
	o := r.outcome(&job)
	if r.chance(10) {
		// Rows of other days.
		o.Request.ID = delivery.NewID(r.store.Now().Add(-time.Duration(r.rand.IntN(100)) * time.Hour))
	}
	o.Slow, o.Ordered = r.chance(20), r.chance(50)
	switch {
	case r.chance(40):
		o = succeeded(o)
		o.Slow = false
	case r.chance(50):
		o = retried(o, r.store.Now().Add([]time.Duration{-time.Minute, time.Minute * 90}[r.rand.IntN(2)]))
	}
	if r.chance(15) {
		o = manual(o, []delivery.Trigger{delivery.TriggerRerun, delivery.TriggerRerun, delivery.TriggerTest}[r.rand.IntN(3)])
	}
	if o.Request.Trigger == delivery.TriggerTest && !r.model.events[eventKey{o.Request.Tenant, o.Request.EventID}].test {
		o.Request.Trigger = delivery.TriggerRerun
	}
	return o, true
}

func (r *randomRun) releaseSome() {
	var leases []delivery.Lease
	for range r.rand.IntN(4) {
		if len(r.held) == 0 {
			break
		}
		i := r.rand.IntN(len(r.held))
		job := r.held[i]
		r.held = slices.Delete(r.held, i, i+1)
		leases = append(leases, delivery.Lease{Webhook: job.Webhook.Ref(), EventID: job.Event.ID, LeaseEnd: job.LeaseEnd})
	}
	r.must(r.store.Release(r.Context(), leases))
	for _, lease := range leases {
		if _, d := r.model.delivery(lease.Webhook, lease.EventID); d != nil && d.due == lease.LeaseEnd {
			d.due = dueAtOnce
		}
	}
}

func (r *randomRun) createOne() {
	if len(r.model.webhooks) > 12 {
		return
	}
	w := r.newWebhook(r.tenant())
	w.Enabled = r.chance(90)
	w.Retry, w.Concurrency, w.RateLimit = r.someRetry(), r.rand.IntN(3), r.someLimit()
	audit := r.someAudit(w.Ref())
	r.must(r.store.CreateWebhook(r.Context(), w, delivery.MaxWebhooks, audit...))
	r.model.audit(w.Tenant, audit)
	r.model.webhooks[w.Ref()] = w
	r.raised(w.Tenant)
}

// someRetry is a schedule with some of its members, or none.
func (r *randomRun) someRetry() *delivery.Retry {
	if r.chance(40) {
		return nil
	}
	retry := &delivery.Retry{Attempts: r.rand.IntN(3)}
	for range r.rand.IntN(3) {
		retry.Delays = append(retry.Delays, time.Duration(r.rand.Int64N(int64(delivery.MaxRetryDelay))))
	}
	if r.chance(50) {
		retry.Jitter = []time.Duration{0, time.Second}
	}
	return retry
}

// someLimit is one that has nothing wait, or none: the model has no clock.
func (r *randomRun) someLimit() *delivery.RateLimit {
	if r.chance(70) {
		return nil
	}
	return &delivery.RateLimit{Requests: delivery.MaxRateRequests - r.rand.IntN(2), Per: delivery.MinRatePer}
}

// raised notes the version of a tenant's webhooks after a change, which raises it.
func (r *randomRun) raised(tenant string) {
	version := r.version(tenant)
	if before := r.model.versions[tenant]; version <= before {
		r.Fatalf("the version went from %d to %d", before, version)
	}
	r.model.versions[tenant] = version
}

func (r *randomRun) updateOne() {
	w := r.someWebhook()
	if w == nil {
		return
	}
	changed := *w
	changed.Enabled = r.chance(60)
	changed.URL += "x"
	changed.Retry, changed.Concurrency, changed.RateLimit = r.someRetry(), r.rand.IntN(3), r.someLimit()
	version, audit := r.model.versions[w.Tenant], r.someAudit(w.Ref())
	if r.chance(10) {
		if err := r.store.UpdateWebhook(r.Context(), &changed, version-1, audit...); !errors.Is(err, delivery.ErrConflict) {
			r.Fatalf("an update of an old version: %v", err)
		}
		return
	}
	r.must(r.store.UpdateWebhook(r.Context(), &changed, version, audit...))
	r.model.audit(w.Tenant, audit)
	r.model.webhooks[w.Ref()] = &changed
	r.raised(w.Tenant)
}

func (r *randomRun) deleteOne() {
	w := r.someWebhook()
	if w == nil {
		return
	}
	audit := r.someAudit(w.Ref())
	r.must(r.store.DeleteWebhook(r.Context(), w.Ref(), audit...))
	r.model.remove(w.Ref())
	r.raised(w.Tenant)
	r.model.audit(w.Tenant, audit)
}

func (r *randomRun) compareWebhooks() {
	tenant := r.tenant()
	r.compareAudits(tenant)
	var want []*delivery.Webhook
	for ref, w := range r.model.webhooks {
		if ref.Tenant == tenant {
			want = append(want, w)
		}
	}
	slices.SortFunc(want, func(a, b *delivery.Webhook) int {
		if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
			return c
		}
		return slices.Compare(a.ID[:], b.ID[:])
	})
	r.wantWebhooks(tenant, want)
	if s := r.remembered[tenant]; s == nil || !r.catchUp(tenant, s) {
		r.remembered[tenant] = r.readAll(tenant)
	}
	r.wantRemembered(tenant, r.remembered[tenant])
	if got := r.version(tenant); got != r.model.versions[tenant] || got == 0 && len(want) > 0 {
		r.Fatalf("the version is %d, want %d", got, r.model.versions[tenant])
	}
}

// compareEvent compares one of the events with the model.
func (r *randomRun) compareEvent(events []eventKey) {
	if len(events) == 0 {
		return
	}
	key := events[r.rand.IntN(len(events))]
	want := r.model.events[key]
	got, deliveries, err := r.store.Event(r.Context(), key.tenant, key.id)
	r.must(err)
	if !got.ReceivedAt.Equal(want.ReceivedAt) || string(got.Payload) != string(want.Payload) {
		r.Fatalf("the event is %+v, want %+v", got, want.Event)
	}
	if got.Erased != want.Erased {
		r.Fatalf("the event is %+v, want %+v", got, want.Event)
	}
	if want.Erased {
		r.compareErased(key)
	}
	seen := 0
	for ref := range r.model.webhooks {
		_, d := r.model.delivery(ref, key.id)
		if d == nil || ref.Tenant != key.tenant || want.Erased && d.Status == delivery.DeliveryPending {
			continue
		}
		seen++
		i := slices.IndexFunc(deliveries, func(d delivery.Delivery) bool { return d.WebhookID == ref.ID })
		if i < 0 {
			r.Fatalf("the delivery to %v is missing: %+v", ref, deliveries)
		}
		g := deliveries[i]
		if g.Status != d.Status || g.Attempts != d.Attempts || !sameTime(g.NextAttemptAt, r.model.next(ref, d)) {
			r.Fatalf("the delivery is %+v, want %+v", g, d.Delivery)
		}
	}
	if seen != len(deliveries) {
		r.Fatalf("the event has %d deliveries, want %d", len(deliveries), seen)
	}
}

func (r *randomRun) comparePage() {
	filter := delivery.RequestFilter{Limit: 1 + r.rand.IntN(50)}
	tenant := r.tenant()
	if w := r.someWebhook(); w != nil && r.chance(30) {
		filter.WebhookID = w.ID
	}
	if len(r.events) > 0 && r.chance(30) {
		filter.EventID = r.events[r.rand.IntN(len(r.events))].id
	}
	if r.chance(30) {
		filter.EventType = "alert_active"
	}
	if r.chance(30) {
		filter.Status = delivery.RequestFailed
	}
	if r.chance(20) {
		filter.Since = r.store.Now().Add(-time.Duration(r.rand.IntN(100)) * time.Hour)
	}
	r.compareRows(tenant, filter)
}

func (r *randomRun) compareRows(tenant string, filter delivery.RequestFilter) {
	want := []uuid.UUID{}
	for id, row := range r.model.rows {
		if row.Tenant == tenant && chosen(&row, &filter) {
			want = append(want, id)
		}
	}
	sortIDs(want)
	got := r.pages(tenant, filter)
	if !slices.Equal(ids(got), want) {
		r.Fatalf("%s chooses\n%v, want\n%v", describe(&filter), ids(got), want)
	}
	for i := range got {
		row := r.model.rows[got[i].ID]
		if got[i].Status != row.Status || got[i].Trigger != row.Trigger || !sameTime(got[i].NextAttemptAt, row.NextAttemptAt) {
			r.Fatalf("the row is %+v, want %+v", got[i], row)
		}
	}
	r.compareStanding(tenant, got)
}

func (r *randomRun) comparePending() {
	r.compareUntried()
	got, err := r.store.Pending(r.Context())
	r.must(err)
	if want := r.model.pending(); got != want {
		r.Fatalf("%d deliveries are pending, want %d", got, want)
	}
}

// compareAll compares everything.
func (r *randomRun) compareAll() {
	for i := range r.events {
		r.compareEvent(r.events[i : i+1])
	}
	for n := range modelTenants {
		r.compareRows(string(rune('a'+n)), delivery.RequestFilter{Limit: 100})
		r.wantEvents(string(rune('a'+n)), delivery.EventFilter{Limit: 100})
	}
	for range 4 {
		r.compareWebhooks()
	}
	r.comparePending()
	r.compareStats()
	due := 0
	for _, n := range r.model.dueNow(r.soon()) {
		due += n
	}
	// Slow webhooks get one delivery at a time, so this takes several claims.
	if got := len(r.drain(wideRoom)); got != due {
		r.Fatalf("%d deliveries were due in the end, want %d", got, due)
	}
}
