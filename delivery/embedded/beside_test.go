package embedded

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// TestClaimBesideCommit claims retries while a commit stands still: before anything of it is
// written, after all of it is, and before it fails or panics.
func TestClaimBesideCommit(t *testing.T) {
	for name, c := range map[string]struct {
		fails  bool
		commit func(tx *bolt.Tx, stand func()) error
	}{
		"before": {false, func(tx *bolt.Tx, stand func()) error { stand(); return tx.Commit() }},
		"after":  {false, func(tx *bolt.Tx, stand func()) error { err := tx.Commit(); stand(); return err }},
		"full":   {true, func(tx *bolt.Tx, stand func()) error { stand(); return errors.Join(syscall.ENOSPC, tx.Rollback()) }},
		"panic":  {true, func(_ *bolt.Tx, stand func()) error { stand(); panic("a damaged page") }},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRetries(t, open(t, t.TempDir()))
			r.tryMost()
			stands, goOn, ended := r.standIn(c.commit)
			<-stands
			claimed := make(chan []delivery.Job, 1)
			go func() { claimed <- r.claim() }()
			var jobs []delivery.Job
			select {
			case jobs = <-claimed:
				close(goOn)
			case <-time.After(30 * time.Second):
				t.Error("the claim waits for the commit")
				close(goOn)
				jobs = <-claimed
			}
			r.check(jobs)
			if err := <-ended; (err != nil) != c.fails {
				t.Errorf("the commit: %v", err)
			}
			if name != "panic" { // after which nothing is written
				r.succeed(jobs)
			}
		})
	}
}

// TestClaimNewInCommit claims, while a commit stands still, an event that was accepted since the
// commit before, and retries with it.
func TestClaimNewInCommit(t *testing.T) {
	r := newRetries(t, open(t, t.TempDir()))
	r.tryMost()
	r.accept(1)
	stands, goOn, ended := r.standIn(func(tx *bolt.Tx, stand func()) error { stand(); return tx.Commit() })
	<-stands
	claimed := make(chan []delivery.Job, 1)
	go func() { claimed <- r.claim() }()
	close(goOn)
	jobs := <-claimed
	r.check(jobs)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	r.succeed(jobs)
}

// TestClaimsBesideWriter tries events again and again, of which new ones come all the time, beside
// commits and sweeps: each claim has the attempt after the one before.
func TestClaimsBesideWriter(t *testing.T) {
	t.Parallel()
	const rounds, batch, tries = 15, 10, 4
	s := New(t.TempDir())
	s.journalSize = 16 << 10
	r := newRetries(t, opened(t, s))
	r.left.Store(4 + rounds*batch)
	var working sync.WaitGroup
	working.Go(func() {
		for range rounds {
			r.accept(batch)
			if _, err := s.Sweep(t.Context(), time.Hour); err != nil {
				t.Error(err)
			}
		}
	})
	for range 2 {
		working.Go(func() {
			for !t.Failed() && r.left.Load() > 0 {
				for _, j := range r.claim() {
					r.next(j, tries)
				}
			}
		})
	}
	working.Wait()
	r.succeed(nil) // nothing is pending
}

// TestBesideWriter looks beside the writer at what has changed since the last commit, also after
// the changes were made in the database. Who looks goes on after the next commit.
func TestBesideWriter(t *testing.T) {
	s := open(t, t.TempDir())
	r := newRetries(t, s)
	jobs := r.claim()
	checkpoint(t, s)
	var keys [][]byte
	for _, j := range jobs {
		event, _ := s.state.recent.number(eventID{s.state.tenants[j.Event.Tenant].number, j.Event.ID})
		keys = append(keys, deliveryKey(event, s.state.webhook(j.Webhook.Ref()).number))
	}
	begin := func() *view {
		v, err := s.beside.Load().begin(keys)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	check := func(v *view, want ...int) {
		t.Helper()
		var sizes []int
		for _, key := range keys {
			if value := v.bucket(pendingBucket).get(key); value != nil {
				sizes = append(sizes, len(value))
			} else {
				sizes = append(sizes, -1)
			}
		}
		if !slices.Equal(sizes, want) {
			t.Errorf("states have %d bytes, want %d", sizes, want)
		}
	}
	r.fail(jobs[0])
	r.end(jobs[1])
	first := begin()
	if err := s.write(together, func(t *txn) error { return errors.Join(t.flush(), touch(t)) }); err != nil {
		t.Fatal(err)
	}
	r.fail(jobs[2])
	r.end(jobs[3])
	changes := s.beside.Load()
	second := begin()
	checkpoint(t, s)
	r.accept(4)
	check(first, record.DeliverySize, -1, 0, 0)
	check(second, record.DeliverySize, -1, record.DeliverySize, -1)
	if err := errors.Join(first.tx.Rollback(), second.tx.Rollback()); err != nil {
		t.Error(err)
	}
	if v, err := changes.begin(nil); !errors.Is(err, errNotBeside) {
		t.Errorf("after the commit: %v, %v", err, v.tx.Rollback())
	}
}

// TestUnreadableBeside claims deliveries of which one has an event that cannot be read: it is set
// aside with its delivery, and the others are claimed.
func TestUnreadableBeside(t *testing.T) {
	s := open(t, t.TempDir())
	r := newRetries(t, s)
	if err := s.write(alone, func(t *txn) error {
		t.whole = true
		b := t.tx.Bucket(eventsBucket)
		key, value := b.Cursor().First()
		value = slices.Clone(value)
		value[0]++
		return errors.Join(touch(t), b.Put(slices.Clone(key), value))
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.write(together, touch); err != nil || s.beside.Load() == nil {
		t.Fatalf("no transaction is open: %v", err)
	}
	if jobs := r.claim(); len(jobs) != 3 {
		t.Errorf("%d jobs, want 3", len(jobs))
	}
	checkpoint(t, s) // after what was found is set aside
	if n, err := s.Pending(t.Context()); n != 3 || err != nil || s.SetAside() != 2 {
		t.Errorf("%d pending, %v, %d set aside", n, err, s.SetAside())
	}
}

// touch changes something.
func touch(t *txn) error {
	return t.journaled(metaBucket).put(triedKey, number8(uint64(t.at.wall)))
}

// retries are deliveries that are claimed and tried.
type retries struct {
	*testing.T
	store *Store
	load  storetest.Load

	mu       sync.Mutex
	attempts map[uuid.UUID]int // so far, of those that are pending
	left     atomic.Int64
}

// newRetries has four new events.
func newRetries(t *testing.T, s *Store) *retries {
	t.Helper()
	r := &retries{T: t, store: s, load: storetest.Load{Store: s}, attempts: make(map[uuid.UUID]int)}
	r.load.Begin(t)
	r.accept(4)
	return r
}

func (r *retries) accept(n int) {
	r.Helper()
	calls := make([]delivery.AcceptCall, n)
	for i := range calls {
		calls[i] = r.load.Call(1, false)
		r.mu.Lock()
		r.attempts[calls[i].Events[0].ID] = 0
		r.mu.Unlock()
	}
	for _, result := range r.store.Accept(r.Context(), delivery.AcceptBatch{Calls: calls, Lease: time.Hour, Retention: time.Hour}) {
		if result.Err != nil {
			r.Error(result.Err)
		}
	}
}

// tryMost commits the events, and has them then as an ended one, one that was tried once, one
// that was tried twice, and one that was not.
func (r *retries) tryMost() {
	r.Helper()
	checkpoint(r.T, r.store)
	jobs := r.claim()
	r.check(jobs)
	r.end(jobs[0])
	r.fail(jobs[1])
	r.fail(jobs[2])
	r.release(jobs[3])
	jobs = r.claim()
	r.check(jobs)
	for i, tried := 0, false; i < len(jobs); i++ {
		if jobs[i].Attempt == 2 && !tried {
			tried = true
			r.fail(jobs[i])
		} else {
			r.release(jobs[i])
		}
	}
}

// claim claims all that is due.
func (r *retries) claim() []delivery.Job {
	claimed, err := r.store.Claim(r.Context(), 0, delivery.Room{Fast: 100, PerWebhook: 100, Lease: time.Hour})
	if err != nil {
		r.Error(err)
	}
	return claimed.Jobs
}

// check checks that all that is pending is claimed, each with its attempt.
func (r *retries) check(jobs []delivery.Job) {
	r.Helper()
	claimed := make(map[uuid.UUID]int)
	for _, j := range jobs {
		claimed[j.Event.ID] = j.Attempt - 1
	}
	if !maps.Equal(claimed, r.attempts) {
		r.Fatalf("claimed with attempts %v, want %v", claimed, r.attempts)
	}
}

// next makes the next attempt, which is the last one if it is one of so many.
func (r *retries) next(j delivery.Job, tries int) {
	r.mu.Lock()
	before, pending := r.attempts[j.Event.ID]
	r.attempts[j.Event.ID] = j.Attempt
	r.mu.Unlock()
	if !pending || j.Attempt != before+1 {
		r.Errorf("attempt %d after %d, pending %t", j.Attempt, before, pending)
	}
	if j.Attempt < tries {
		r.write(j, func(o *delivery.Outcome) { o.RetryAt = r.store.Now() })
		return
	}
	r.write(j, func(o *delivery.Outcome) { o.Request.Status = delivery.RequestSuccess })
	r.left.Add(-1)
}

func (r *retries) fail(j delivery.Job) {
	r.Helper()
	r.write(j, func(o *delivery.Outcome) { o.RetryAt = r.store.Now() })
	r.attempts[j.Event.ID] = j.Attempt
}

func (r *retries) end(j delivery.Job) {
	r.Helper()
	r.write(j, func(o *delivery.Outcome) { o.Request.Status = delivery.RequestSuccess })
	delete(r.attempts, j.Event.ID)
}

func (r *retries) write(j delivery.Job, change func(*delivery.Outcome)) {
	r.Helper()
	o := delivery.Outcome{ReceivedAt: j.Event.ReceivedAt, LeaseEnd: j.LeaseEnd, Request: delivery.Request{
		Tenant: j.Event.Tenant, ID: delivery.NewID(r.store.Now()), WebhookID: j.Webhook.ID, EventID: j.Event.ID, EventType: j.Event.Type,
		Trigger: delivery.TriggerEvent, Attempt: j.Attempt, MaxAttempts: 10, Status: delivery.RequestFailed, StatusCode: 500,
	}}
	change(&o)
	if err := errors.Join(r.store.Complete(r.Context(), []delivery.Outcome{o})...); err != nil {
		r.Error(err)
	}
}

func (r *retries) release(j delivery.Job) {
	r.Helper()
	lease := delivery.Lease{Webhook: j.Webhook.Ref(), EventID: j.Event.ID, LeaseEnd: j.LeaseEnd}
	if err := r.store.Release(r.Context(), []delivery.Lease{lease}); err != nil {
		r.Fatal(err)
	}
}

// succeed ends the jobs, after which nothing is pending, and each has its attempts in the file.
func (r *retries) succeed(jobs []delivery.Job) {
	r.Helper()
	for _, j := range jobs {
		r.end(j)
		_, deliveries, err := r.store.Event(r.Context(), j.Event.Tenant, j.Event.ID)
		if err != nil || deliveries[0].Status != delivery.DeliverySuccess || deliveries[0].Attempts != j.Attempt {
			r.Errorf("after attempt %d, the delivery is %+v, %v", j.Attempt, deliveries, err)
		}
	}
	if n, err := r.store.Pending(r.Context()); n != 0 || err != nil {
		r.Errorf("%d are pending, %v", n, err)
	}
}

// standIn begins a commit that stands still until goOn is closed.
func (r *retries) standIn(commit func(tx *bolt.Tx, stand func()) error) (stands, goOn chan struct{}, ended chan error) {
	stands, goOn, ended = make(chan struct{}), make(chan struct{}), make(chan error, 1)
	r.store.commitTx = func(tx *bolt.Tx) error {
		r.store.commitTx = (*bolt.Tx).Commit
		return commit(tx, func() { close(stands); <-goOn })
	}
	go func() {
		ended <- r.store.write(alone, func(t *txn) error {
			t.whole = true
			return touch(t)
		})
	}()
	return stands, goOn, ended
}
