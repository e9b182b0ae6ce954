package redis

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

const otherTenant = "other"

// life is all that a store is used for, by a driver. Nothing that the store has said may turn
// out to be untrue.
type life struct {
	*driver
	promises []promise
	imported []*delivery.Batch

	options map[string]*delivery.Webhook // by tenant, which is the endpoint

	doomed, paused, waiting *delivery.Webhook // waiting is paused from the beginning
}

// promise is what the store has said by returning no error.
type promise struct {
	what string
	kept func() error
}

// newLife makes a store with webhooks of two tenants, a log that is in part too old, and
// deliveries that wait.
func newLife(t *testing.T, o Options) *life {
	t.Helper()
	l := &life{driver: newDriver(t, o)}
	for _, endpoint := range []string{"", "flaky", "slow"} {
		l.mustCreate(testTenant, endpoint)
	}
	l.mustCreate(otherTenant, "")
	if err := l.s.NoteEventTypes(t.Context(), testTenant, []string{"alert_active"}, testRetention); err != nil {
		t.Fatal(err)
	}
	l.doomed, l.paused = l.mustCreate("doomed", ""), l.mustCreate("paused", "")
	l.waiting = l.mustCreate("waiting", "")
	l.options = make(map[string]*delivery.Webhook)
	for _, option := range []string{limited, ordered, declared} {
		l.options[option] = l.mustCreate(option, option)
	}
	w := l.mustCreate("aged", "")
	for _, tenant := range []string{testTenant, otherTenant, "doomed", "paused", "waiting", "aged"} {
		if !l.emit(tenant, 2) {
			t.Fatal("an event was not accepted")
		}
	}
	if !l.enable(l.waiting, false) {
		t.Fatal("a webhook cannot be paused")
	}
	l.age(w)
	sweepAll(t, l.s)
	l.age(w)
	l.complete()
	l.moveToBuckets()
	return l
}

// moveToBuckets moves half of the rows to where earlier versions wrote them.
func (l *life) moveToBuckets() {
	l.Helper()
	base := l.s.keys.base(0)
	for _, key := range l.s.client().Keys(l.Context(), base+"requests:*").Val() {
		rows := l.s.client().HGetAll(l.Context(), key).Val()
		for raw, row := range rows {
			id := uuid.UUID([]byte(raw))
			if id[15]%2 == 0 {
				l.s.client().HSet(l.Context(), oldRequestsKey(base, id), raw, row)
				l.s.client().HDel(l.Context(), key, raw)
			}
		}
	}
}

func (l *life) newWebhook(tenant, endpoint string) *delivery.Webhook {
	now := l.s.Now().Truncate(time.Millisecond)
	return withOptions(&delivery.Webhook{
		Tenant: tenant, ID: delivery.NewID(now), URL: "https://example.com/", Description: endpoint,
		Enabled: true, EventTypes: []string{delivery.AllEventTypes}, CreatedAt: now, UpdatedAt: now,
	})
}

func (l *life) mustCreate(tenant, endpoint string) *delivery.Webhook {
	l.Helper()
	w := l.newWebhook(tenant, endpoint)
	if err := l.s.CreateWebhook(l.Context(), w, delivery.MaxWebhooks, auditEntry(l.s, tenant, 20*24*time.Hour), auditEntry(l.s, tenant, 0)); err != nil {
		l.Fatal(err)
	}
	delete(l.remembered, tenant)
	return w
}

// age writes old rows: of a webhook, and of one that is deleted.
func (l *life) age(w *delivery.Webhook) {
	l.Helper()
	gone := l.mustCreate("gone", "")
	for _, of := range []*delivery.Webhook{w, gone} {
		for i := range 3 {
			at := l.s.Now().Add(-time.Duration(20*i) * 24 * time.Hour)
			o := success(l.s, of, &delivery.AcceptEvent{ID: delivery.NewID(at), Type: "alert_active"}, &delivery.Accepted{At: at})
			o.Request.ID, o.Request.Trigger, o.LeaseEnd = delivery.NewID(at), delivery.TriggerRerun, 0
			if err := errors.Join(l.s.Complete(l.Context(), []delivery.Outcome{o})...); err != nil {
				l.Fatal(err)
			}
		}
	}
	if err := l.s.DeleteWebhook(l.Context(), gone.Ref()); err != nil {
		l.Fatal(err)
	}
}

// live does everything once.
func (l *life) live() {
	l.failed(l.s.NoteEventTypes(l.Context(), testTenant, []string{"alert_active", "alert_ended"}, testRetention))
	for range 2 {
		l.emit(testTenant, 3)
		l.emit(otherTenant, 2)
		l.claim()
		l.complete()
	}
	l.changeAll()
	l.liveWithOptions()
	l.release()
	l.read()
	_, err := l.s.Sweep(l.Context(), testRetention)
	l.failed(err)
	l.importAll()
}

// changeAll changes webhooks. Whoever remembers those from before learns what has changed.
func (l *life) changeAll() {
	l.webhooksOf("paused")
	l.webhooksOf("doomed")
	before := maps.Clone(l.remembered)
	l.change()
	for tenant, of := range before {
		if of == nil {
			continue
		}
		l.promise("what has changed of "+tenant, func() error { return l.wantChanges(tenant, of) })
	}
}

// wantChanges makes the webhooks of a tenant those that there are now of earlier ones.
func (l *life) wantChanges(tenant string, before *remembered) error {
	changes, err := l.s.WebhookChanges(l.Context(), tenant, before.version)
	if err != nil || !changes.Known {
		return err
	}
	enabled := make(map[uuid.UUID]bool)
	for _, w := range slices.Concat(before.webhooks, changes.Webhooks) {
		enabled[w.ID] = w.Enabled
	}
	for _, id := range changes.Deleted {
		delete(enabled, id)
	}
	all, version, err := storetest.Webhooks(l.Context(), l.s, tenant)
	if err != nil || version != changes.Version {
		return err
	}
	now := make(map[uuid.UUID]bool)
	for _, w := range all {
		now[w.ID] = w.Enabled
	}
	if !maps.Equal(enabled, now) {
		return fmt.Errorf("there are %v, but by the changes %v", now, enabled)
	}
	return nil
}

// change creates a webhook, pauses one, and deletes one.
func (l *life) change() {
	created, audit := l.newWebhook("created", ""), auditEntry(l.s, "created", 0)
	if !l.failed(l.s.CreateWebhook(l.Context(), created, delivery.MaxWebhooks, audit)) {
		l.audited(audit)
		l.promise("a webhook was created", func() error {
			_, _, err := l.s.Webhook(l.Context(), created.Ref())
			return err
		})
	}
	l.enable(l.paused, false)
	audit = auditEntry(l.s, l.doomed.Tenant, 0)
	if !l.failed(l.s.DeleteWebhook(l.Context(), l.doomed.Ref(), audit)) {
		l.audited(audit)
		l.promise("a webhook was deleted", func() error {
			if _, _, err := l.s.Webhook(l.Context(), l.doomed.Ref()); !errors.Is(err, delivery.ErrNotFound) {
				return fmt.Errorf("it is there: %w", err)
			}
			return nil
		})
	}
}

// enable pauses or resumes a webhook, and reports whether the store says that it did so.
func (l *life) enable(w *delivery.Webhook, enabled bool) bool {
	l.Helper()
	changed := *w
	changed.Enabled = enabled
	_, version, err := l.s.Webhook(l.Context(), w.Ref())
	audit := auditEntry(l.s, w.Tenant, 0)
	if l.failed(err) || l.failed(l.s.UpdateWebhook(l.Context(), &changed, version, audit)) {
		return false
	}
	l.audited(audit)
	if now, _, err := l.s.Webhook(l.Context(), w.Ref()); !l.failed(err) && now.Enabled != enabled {
		l.Errorf("a webhook was changed, and is not")
	}
	return true
}

func (l *life) promise(what string, kept func() error) {
	l.promises = append(l.promises, promise{what, kept})
}

// release hands back what is due, instead of sending it.
func (l *life) release() {
	claimed, err := l.s.Claim(l.Context(), 0, delivery.Room{Fast: 100, Slow: 100, PerWebhook: 100, Lease: driverLease})
	l.failed(err)
	var leases []delivery.Lease
	for _, job := range claimed.Jobs {
		leases = append(leases, delivery.Lease{Webhook: job.Webhook.Ref(), EventID: job.Event.ID, LeaseEnd: job.LeaseEnd})
	}
	l.failed(l.s.Release(l.Context(), leases))
}

// read reads all that the API shows.
func (l *life) read() {
	_, err := l.s.WebhookPage(l.Context(), testTenant, "")
	l.failed(err)
	page, err := l.s.Requests(l.Context(), testTenant, delivery.RequestFilter{Limit: 50})
	l.failed(err)
	for _, filter := range []delivery.RequestFilter{{EventType: "alert_active"}, {Status: delivery.RequestSuccess}} {
		filter.Limit = 10
		_, err := l.s.Requests(l.Context(), testTenant, filter)
		l.failed(err)
	}
	for _, r := range page.Requests {
		if _, err := l.s.Request(l.Context(), testTenant, r.ID); !errors.Is(err, delivery.ErrNotFound) {
			l.failed(err)
		}
		if _, _, err := l.s.Event(l.Context(), testTenant, r.EventID); !errors.Is(err, delivery.ErrNotFound) {
			l.failed(err)
		}
		_, err = l.s.Requests(l.Context(), testTenant, delivery.RequestFilter{EventID: r.EventID, Limit: 10})
		l.failed(err)
	}
	_, err = l.s.WebhookRequests(l.Context(), "aged", []uuid.UUID{l.paused.ID}, l.s.Now().Add(-time.Hour))
	l.failed(err)
	_, err = l.s.WebhookPending(l.Context(), testTenant, []uuid.UUID{l.paused.ID})
	l.failed(err)
	_, err = l.s.RequestCounts(l.Context(), testTenant, l.s.Now().Add(-time.Hour))
	l.failed(err)
	_, err = l.s.Pending(l.Context())
	l.failed(err)
	_, err = l.s.AuditEntries(l.Context(), testTenant, delivery.AuditFilter{Limit: 10})
	l.failed(err)
	for _, oldest := range []bool{true, false} {
		_, err = l.s.Events(l.Context(), testTenant, delivery.EventFilter{OldestFirst: oldest, Limit: 1000})
		l.failed(err)
	}
	audit := auditEntry(l.s, testTenant, 0)
	if !l.failed(l.s.WriteAuditEntry(l.Context(), audit)) {
		l.audited(audit)
	}
	parts := *l.s.partitions.Load()
	_, err = (&source{store: l.s, partition: parts[0]}).Last(l.Context())
	l.failed(err)
	_, err = l.s.audit(l.Context(), parts[0].base, "")
	l.failed(err)
}

// importAll imports what is to be imported, up to the first error.
func (l *life) importAll() {
	for len(l.imported) > 0 {
		batch := l.imported[0]
		if _, err := l.s.Import(l.Context(), batch); l.failed(err) {
			return
		}
		l.imported = l.imported[1:]
		for _, e := range batch.Events {
			for _, of := range e.Deliveries {
				if of.Status == delivery.DeliveryPending {
					l.acknowledged[deliveryKey{e.Tenant, e.ID, of.Webhook}] = true
				}
			}
		}
	}
}

// end does what was left undone, and checks what the store has said.
func (l *life) end() {
	l.Helper()
	clear(l.remembered)
	if !l.enable(l.paused, true) || !l.enable(l.waiting, true) {
		l.Error("a webhook cannot be resumed")
	}
	if err := l.s.DeleteWebhook(l.Context(), l.doomed.Ref()); err != nil && !errors.Is(err, delivery.ErrNotFound) {
		l.Errorf("delete a webhook: %v", err)
	}
	l.importAll()
	sweepAll(l.T, l.s)
	for _, p := range l.promises {
		if err := p.kept(); err != nil {
			l.Errorf("%s: %v", p.what, err)
		}
	}
	if !l.emit(testTenant, 1) || !l.emit(otherTenant, 1) {
		l.Error("events are not accepted")
	}
	l.endOptions()
	l.drain()
	l.wantDelivered()
}

// wantDelivered checks that all that was acknowledged has arrived, not without end, and that
// what was written can be read.
func (l *life) wantDelivered() {
	l.Helper()
	for key := range l.acknowledged {
		if key.webhook == l.doomed.ID {
			continue
		}
		if n := l.sent[key]; n < 1 || n > 8 {
			l.Errorf("the event %s of %s was sent %d times", key.event, key.tenant, n)
		}
		_, deliveries, err := l.s.Event(l.Context(), key.tenant, key.event)
		if err != nil {
			l.Errorf("the event %s of %s: %v", key.event, key.tenant, err)
		}
		for _, of := range deliveries {
			if of.WebhookID == key.webhook && of.Status != delivery.DeliverySuccess {
				l.Errorf("the delivery of %s of %s is %s", key.event, key.tenant, of.Status)
			}
		}
	}
	for id, tenant := range l.written {
		if _, err := l.s.Request(l.Context(), tenant, id); err != nil && tenant != "doomed" {
			l.Errorf("the request %s of %s, which was written: %v", id, tenant, err)
		}
	}
}
