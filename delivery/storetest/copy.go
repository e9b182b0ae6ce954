package storetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

const (
	copyRuns        = 2
	copyStepsBefore = 200 // few enough that the run still accepts events
	copyStepsAfter  = 500
)

// RunCopy copies from one kind of store to another, or to the same kind. Both functions open
// stores as for Run.
func RunCopy(t *testing.T, from, to func(t *testing.T) delivery.Copyable) {
	for seed := range copyRuns {
		t.Run("Model/"+string(rune('A'+seed)), func(t *testing.T) { testCopyModel(t, seed, from(t), to(t)) })
	}
	t.Run("Interrupted", func(t *testing.T) { testCopyInterrupted(t, from(t), to(t)) })
	t.Run("Again", func(t *testing.T) { testCopyAgain(t, from(t), to(t)) })
	t.Run("Large", func(t *testing.T) { testCopyLarge(t, from(t), to(t)) })
	t.Run("Erased", func(t *testing.T) { testCopyErased(t, from(t), to(t)) })
	t.Run("Added", func(t *testing.T) { testCopyAdded(t, from(t), to(t)) })
	t.Run("Sweep", func(t *testing.T) { testCopySweep(t, from(t), to(t)) })
	t.Run("Nothing", func(t *testing.T) { testCopyNothing(t, from(t), to(t)) })
	t.Run("Full", func(t *testing.T) { testCopyTooManyWebhooks(t, from(t), to(t)) })
}

// filled does random operations on a store until it has something of each kind.
func filled(t *testing.T, seed int, store delivery.Store) *randomRun {
	t.Helper()
	r := &randomRun{
		fixture: &fixture{T: t, store: store},
		rand:    rand.New(rand.NewPCG(uint64(seed), 1)),
		model:   newModel(),

		remembered: make(map[string]*subscriptions),
	}
	for n := 0; n < copyStepsBefore || r.model.pending() == 0 || len(r.model.rows) == 0; n++ {
		r.step()
	}
	return r
}

// testCopyModel continues with the copy as if it were the store itself.
func testCopyModel(t *testing.T, seed int, from, to delivery.Copyable) {
	r := filled(t, seed, from)
	r.copy(from, to)
	r.wantSame(from, to)
	r.store, r.copied = to, true
	r.model.recount()
	for n := range modelTenants {
		tenant := string(rune('a' + n))
		r.model.versions[tenant] = r.version(tenant)
		delete(r.remembered, tenant)
	}
	for i := range r.calls {
		r.calls[i].Version = -1 // the versions of the other store mean nothing here
	}
	for range copyStepsAfter {
		r.step()
	}
	r.compareAll()
}

// testCopyInterrupted interrupts the copy again and again, in the middle of batches.
func testCopyInterrupted(t *testing.T, from, to delivery.Copyable) {
	r := filled(t, copyRuns, from)
	before := r.counts(from)
	for tries := 0; ; tries++ {
		err := delivery.Copy(t.Context(), from, &interrupted{Copyable: to, rand: r.rand}, func(string, int, int) {})
		if err == nil {
			break
		}
		if !errors.Is(err, errInterrupted) {
			t.Fatal(err)
		}
		if tries > 10_000 {
			t.Fatal("the copy makes no progress")
		}
	}
	r.wantSame(from, to)
	if after := r.counts(from); after != before {
		t.Errorf("the source has %+v, but had %+v before", after, before)
	}

	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := delivery.Copy(stopped, from, to, func(string, int, int) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("a copy that was cancelled: %v", err)
	}
}

var errInterrupted = errors.New("interrupted")

// interrupted is a store whose Import half of the time imports a part of a batch, and then fails.
type interrupted struct {
	delivery.Copyable
	rand *rand.Rand
}

func (i *interrupted) Import(ctx context.Context, batch *delivery.Batch) (int, error) {
	if i.rand.IntN(2) == 0 {
		return i.Copyable.Import(ctx, batch)
	}
	part := *batch
	part.Webhooks = part.Webhooks[:i.some(len(part.Webhooks))]
	part.Events = part.Events[:i.some(len(part.Events))]
	part.Requests = part.Requests[:i.some(len(part.Requests))]
	part.Audits = part.Audits[:i.some(len(part.Audits))]
	if _, err := i.Copyable.Import(ctx, &part); err != nil {
		return 0, err
	}
	return 0, errInterrupted
}

func (i *interrupted) some(n int) int { return i.rand.IntN(n + 1) }

// testCopyAgain uses the copy before the store is copied again. The second copy must
// change nothing that is there.
func testCopyAgain(t *testing.T, from, to delivery.Copyable) {
	f := &fixture{T: t, store: from}
	w := f.webhook(tenant)
	slow := retried(f.outcome(f.bornLeased(w, held)), from.Now().Add(-time.Second))
	slow.Slow = true
	f.complete(slow)
	f.accept(held, f.event(w))
	f.copy(from, to)

	f.store = to
	jobs := f.drain(wideRoom)
	if len(jobs) != 2 {
		t.Fatalf("the copy has %d deliveries due, want 2", len(jobs))
	}
	for i := range jobs {
		if !jobs[i].Slow {
			t.Errorf("the copy does not know that the webhook of %+v is slow", jobs[i])
		}
		f.complete(succeeded(f.outcome(&jobs[i])))
	}
	f.update(w, func(w *delivery.Webhook) { w.URL = "https://example.org/changed" })
	before := f.counts(to)
	added := f.copy(from, to)
	if added != 0 {
		t.Errorf("the second copy added %d things", added)
	}
	if after := f.counts(to); after != before || after.Pending != 0 {
		t.Errorf("the copy has %+v, but had %+v before", after, before)
	}
	f.nothingDue()
	for i := range jobs {
		f.wantDelivery(&jobs[i], delivery.DeliverySuccess, jobs[i].Attempt, time.Time{})
	}
	if now, _, err := to.Webhook(t.Context(), w.Ref()); err != nil || now.URL != "https://example.org/changed" {
		t.Errorf("the webhook is %+v, %v", now, err)
	}
}

func testCopyNothing(t *testing.T, from, to delivery.Copyable) {
	f := &fixture{T: t, store: from}
	if added := f.copy(from, to); added != 0 {
		t.Errorf("%d things were copied from an empty store", added)
	}
	// Deleted webhooks and expired events are not copied.
	w := f.webhook(tenant)
	f.complete(f.outcome(f.bornLeased(w, held)))
	f.accept(held, f.event(w))
	f.must(from.DeleteWebhook(t.Context(), w.Ref()))
	call := f.call("expired", f.event())
	result := from.Accept(t.Context(), delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Retention: -time.Hour + time.Millisecond})
	f.must(result[0].Err)
	f.eventually("the event expires", func() bool {
		_, _, err := from.Event(t.Context(), "expired", call.Events[0].ID)
		return errors.Is(err, delivery.ErrNotFound)
	})
	if added := f.copy(from, to); added != 2 { // the events of the deleted webhook
		t.Errorf("%d things were copied, want 2", added)
	}
	want := delivery.Counts{Tenants: 1, Events: 2}
	if got := f.counts(to); got != want || f.counts(from) != want {
		t.Errorf("the copy has %+v, and the source %+v, want %+v", got, f.counts(from), want)
	}
	if later, err := delivery.Count(t.Context(), to, to.Now().Add(2*retention)); err != nil || later != (delivery.Counts{}) {
		t.Errorf("once everything has expired there are %+v, %v", later, err)
	}
}

// testCopySweep checks that the copy drops rows that are older than the retention, and keeps
// the others.
func testCopySweep(t *testing.T, from, to delivery.Copyable) {
	const day = 24 * time.Hour
	f := &fixture{T: t, store: from}
	w, gone := f.webhook(tenant), f.webhook(tenant)
	old := f.aged(w, 14*day+2*time.Hour, 15*day, 100*day)
	kept := f.aged(w, 0, time.Hour, 13*day)
	f.aged(gone, 0, 13*day)
	f.copy(from, to)
	f.store = to
	f.sweep(14 * day)
	for _, id := range old {
		if _, err := to.Request(t.Context(), tenant, id); !errors.Is(err, delivery.ErrNotFound) {
			t.Errorf("a row older than the retention: %v", err)
		}
	}
	for _, id := range kept {
		f.request(tenant, id)
	}
	f.must(to.DeleteWebhook(t.Context(), gone.Ref()))
	f.sweep(14 * day)
	if rows := f.pages(tenant, delivery.RequestFilter{Limit: 2}); len(rows) != len(kept) {
		t.Errorf("%d rows are left, want %d", len(rows), len(kept))
	}
	f.sweep(-4 * time.Hour) // as if hours later
	want := delivery.Counts{Tenants: 1, Webhooks: 1, Secrets: 1}
	got := f.counts(to)
	got.Events = 0 // a store need not leave events to Sweep
	if got != want {
		t.Errorf("in the end there are %+v, want %+v", got, want)
	}
}

// testCopyTooManyWebhooks copies into a store that then would have too many webhooks.
func testCopyTooManyWebhooks(t *testing.T, from, to delivery.Copyable) {
	f := &fixture{T: t, store: from}
	f.webhooks(tenant, 2)
	f.store = to
	batch := new(delivery.Batch)
	for range delivery.MaxWebhooks - 1 {
		batch.AddWebhook(delivery.StoredWebhook{Webhook: *f.newWebhook(tenant)})
	}
	before := f.version(tenant)
	added, err := to.Import(t.Context(), batch)
	f.must(err)
	if after := f.version(tenant); added != delivery.MaxWebhooks-1 || after <= before {
		t.Fatalf("%d webhooks were added, and the version went from %d to %d", added, before, after)
	}
	if err := delivery.Copy(t.Context(), from, to, func(string, int, int) {}); !errors.Is(err, delivery.ErrTooManyWebhooks) {
		t.Errorf("one webhook too many: %v", err)
	}
}
