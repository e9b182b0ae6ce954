// Package memory is a delivery.Store that keeps all in this process's memory and
// takes its time from time.Now. It is for tests under a fake clock, where no
// real store can be: it passes the suite that every Store passes.
package memory

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/follow"
)

// Store is a delivery.Store in memory.
type Store struct {
	mu       sync.Mutex
	webhooks map[delivery.WebhookRef]*delivery.Webhook
	versions map[string]int64
	slow     map[delivery.WebhookRef]bool
	served   map[delivery.WebhookRef]int64 // when a webhook's turn was last
	turn     int64
	events   map[eventKey]*event
	requests map[uuid.UUID]*delivery.Request
	pending  map[*scheduled]waiting // the deliveries whose due is not 0
	ring     *follow.Ring           // the requests, in the order in which they came
	hub      *follow.Hub
	counts   map[counted]int64

	fault func(op string) error
	calls map[string]int
}

type eventKey struct {
	tenant string
	id     uuid.UUID
}

type event struct {
	delivery.Event
	nonce      uuid.UUID
	index      int
	expires    time.Time
	deliveries map[uuid.UUID]*scheduled
}

// scheduled is a delivery; due is 0 when it is not on the schedule.
type scheduled struct {
	delivery.Delivery
	due  int64
	test bool
}

// New makes an empty store.
func New() *Store {
	s := &Store{
		webhooks: make(map[delivery.WebhookRef]*delivery.Webhook),
		versions: make(map[string]int64),
		slow:     make(map[delivery.WebhookRef]bool),
		served:   make(map[delivery.WebhookRef]int64),
		events:   make(map[eventKey]*event),
		requests: make(map[uuid.UUID]*delivery.Request),
		pending:  make(map[*scheduled]waiting),
		counts:   make(map[counted]int64),
		calls:    make(map[string]int),
		ring:     follow.NewRing(time.Now()),
	}
	s.hub = follow.NewHub(&source{s.ring, s})
	return s
}

// Fail makes operations fail: fault is asked before each, by its method's name.
func (s *Store) Fail(fault func(op string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// Calls is how often an operation was called, by its method's name.
func (s *Store) Calls(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

// enter begins an operation; the caller unlocks s.mu.
func (s *Store) enter(op string) error {
	s.mu.Lock()
	s.calls[op]++
	if s.fault != nil {
		return s.fault(op)
	}
	return nil
}

func (s *Store) Open(context.Context) error {
	defer s.mu.Unlock()
	return s.enter("Open")
}

func (s *Store) Close() error {
	s.hub.Stop()
	s.hub.Wait()
	defer s.mu.Unlock()
	return s.enter("Close")
}

func (s *Store) Ping(context.Context) error {
	defer s.mu.Unlock()
	return s.enter("Ping")
}

func (s *Store) Now() time.Time { return time.Now() }

func (s *Store) Accept(_ context.Context, batch delivery.AcceptBatch) []delivery.Accepted {
	err := s.enter("Accept")
	defer s.mu.Unlock()
	results := make([]delivery.Accepted, len(batch.Calls))
	for i := range batch.Calls {
		if results[i].Err = err; err == nil {
			results[i] = s.accept(&batch.Calls[i], &batch)
		}
	}
	return results
}

func (s *Store) accept(call *delivery.AcceptCall, batch *delivery.AcceptBatch) delivery.Accepted {
	if call.Version != s.versions[call.Tenant] {
		return delivery.Accepted{Err: delivery.ErrStale}
	}
	now := time.Now()
	result := delivery.Accepted{
		At:       now.UTC().Truncate(time.Millisecond),
		LeaseEnd: now.Add(batch.Lease).UnixMilli(),
	}
	for i := range call.Events {
		ev := &call.Events[i]
		key := eventKey{call.Tenant, ev.ID}
		if known := s.event(key); known != nil {
			if known.nonce == call.Nonce && known.index == i {
				result.Events = append(result.Events, delivery.AcceptedEvent{Repeated: true, Deliveries: len(known.deliveries)})
			} else {
				result.Events = append(result.Events, delivery.AcceptedEvent{Duplicate: true})
			}
			continue
		}
		stored := &event{
			Event: delivery.Event{
				Tenant: call.Tenant, ID: ev.ID, Type: ev.Type, OccurredAt: ev.OccurredAt,
				ReceivedAt: result.At, Payload: ev.Payload,
			},
			nonce: call.Nonce, index: i, expires: now.Add(batch.Retention + delivery.EventGrace),
			deliveries: make(map[uuid.UUID]*scheduled),
		}
		for _, target := range ev.Targets {
			d := &scheduled{Delivery: delivery.Delivery{WebhookID: target.Webhook, Status: delivery.DeliveryPending}, test: ev.Test}
			slow := s.slow[delivery.WebhookRef{Tenant: call.Tenant, ID: target.Webhook}]
			switch {
			case ev.Test:
			case target.Lease && !slow:
				d.due, d.NextAttemptAt = result.LeaseEnd, result.At
			default:
				d.due, d.NextAttemptAt = now.UnixMilli(), result.At
				if target.Lease && !slices.Contains(result.Unleased, target.Webhook) {
					result.Unleased = append(result.Unleased, target.Webhook)
				}
			}
			stored.deliveries[target.Webhook] = d
			if d.due != 0 {
				s.pending[d] = waiting{delivery.WebhookRef{Tenant: call.Tenant, ID: target.Webhook}, stored, d}
			}
		}
		s.events[key] = stored
		result.Events = append(result.Events, delivery.AcceptedEvent{Deliveries: len(stored.deliveries)})
	}
	return result
}

// event returns an event that has not expired.
func (s *Store) event(key eventKey) *event {
	ev := s.events[key]
	if ev == nil || !time.Now().Before(ev.expires) {
		return nil
	}
	return ev
}

// waiting is a delivery on the schedule.
type waiting struct {
	ref delivery.WebhookRef
	ev  *event
	d   *scheduled
}

// ended says whether a delivery ended, or its event's retention did.
func (s *Store) ended(d *scheduled, p waiting) bool {
	return d.due == 0 || s.event(eventKey{p.ref.Tenant, p.ev.ID}) != p.ev
}

// schedule lists the deliveries of enabled webhooks, the longest due first.
func (s *Store) schedule() []waiting {
	var all []waiting
	for d, p := range s.pending {
		if s.ended(d, p) {
			delete(s.pending, d)
		} else if w := s.webhooks[p.ref]; w != nil && w.Enabled {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b waiting) int {
		if a.d.due != b.d.due {
			return int(a.d.due - b.d.due)
		}
		return bytes.Compare(a.ev.ID[:], b.ev.ID[:])
	})
	return all
}

func (s *Store) Claim(_ context.Context, room delivery.Room) (delivery.Claimed, error) {
	err := s.enter("Claim")
	defer s.mu.Unlock()
	if err != nil {
		return delivery.Claimed{}, err
	}
	now := time.Now()
	leaseEnd := now.Add(room.Lease).UnixMilli()
	claimed := delivery.Claimed{Next: delivery.ClaimEvery}
	all := s.schedule()
	// Webhooks take turns: those served longest ago first.
	var refs []delivery.WebhookRef
	byRef := make(map[delivery.WebhookRef][]waiting)
	for _, w := range all {
		if byRef[w.ref] == nil {
			refs = append(refs, w.ref)
		}
		byRef[w.ref] = append(byRef[w.ref], w)
	}
	slices.SortStableFunc(refs, func(a, b delivery.WebhookRef) int { return int(s.served[a] - s.served[b]) })
	fast, slow := room.Fast, room.Slow
	for _, ref := range refs {
		left, kind := room.For(ref, s.slow[ref]), &fast
		if left == 0 {
			continue
		}
		if s.slow[ref] {
			kind = &slow
		}
		for _, w := range byRef[ref] {
			if w.d.due > now.UnixMilli() {
				claimed.Next = min(claimed.Next, time.UnixMilli(w.d.due).Sub(now))
				break
			}
			if left == 0 || *kind == 0 {
				if *kind > 0 || kind == &fast && room.Fast > 0 || kind == &slow && room.Slow > 0 {
					claimed.Next = 0
				}
				break
			}
			left--
			*kind--
			s.turn++
			s.served[ref] = s.turn
			due := time.UnixMilli(w.d.due)
			w.d.due = leaseEnd
			hook := *s.webhooks[ref]
			ev := w.ev.Event
			claimed.Jobs = append(claimed.Jobs, delivery.Job{
				Webhook: &hook, Event: &ev, Attempt: w.d.Attempts + 1, LeaseEnd: leaseEnd, Slow: s.slow[ref], Due: due,
			})
		}
	}
	return claimed, nil
}

func (s *Store) Complete(_ context.Context, outcomes []delivery.Outcome) error {
	err := s.enter("Complete")
	defer s.mu.Unlock()
	if err != nil {
		return err
	}
	for i := range outcomes {
		s.complete(&outcomes[i])
	}
	return nil
}

func (s *Store) complete(o *delivery.Outcome) {
	r := o.Request
	ref := delivery.WebhookRef{Tenant: r.Tenant, ID: r.WebhookID}
	if s.webhooks[ref] == nil || s.requests[r.ID] != nil {
		return
	}
	success := r.Status == delivery.RequestSuccess
	if o.Slow {
		s.slow[ref] = true
	}
	if success {
		delete(s.slow, ref)
	}
	r.NextAttemptAt = time.Time{}
	r.RequestBody = nil
	s.requests[r.ID] = &r
	s.ring.Add(follow.Item{Tenant: r.Tenant, ID: r.ID})
	s.count(&r)
	ev := s.event(eventKey{r.Tenant, r.EventID})
	if ev == nil || ev.deliveries[r.WebhookID] == nil {
		return
	}
	d := ev.deliveries[r.WebhookID]
	switch {
	case o.LeaseEnd != 0 && d.due != o.LeaseEnd: // the lease was lost
	case success:
		d.due, d.Status, d.NextAttemptAt = 0, delivery.DeliverySuccess, time.Time{}
		if o.LeaseEnd != 0 {
			d.Attempts = r.Attempt
		}
	case o.LeaseEnd != 0 && !o.RetryAt.IsZero():
		at := o.RetryAt.UTC().Truncate(time.Millisecond)
		d.due, d.Attempts, d.NextAttemptAt, r.NextAttemptAt = at.UnixMilli(), r.Attempt, at, at
	case o.LeaseEnd != 0:
		d.due, d.Attempts, d.Status, d.NextAttemptAt = 0, r.Attempt, delivery.DeliveryFailed, time.Time{}
	case r.Trigger == delivery.TriggerTest:
		d.Status = delivery.DeliveryFailed
	}
}

func (s *Store) Release(_ context.Context, leases []delivery.Lease) error {
	err := s.enter("Release")
	defer s.mu.Unlock()
	if err != nil {
		return err
	}
	for _, l := range leases {
		if ev := s.event(eventKey{l.Webhook.Tenant, l.EventID}); ev != nil {
			if d := ev.deliveries[l.Webhook.ID]; d != nil && d.due == l.LeaseEnd {
				d.due = time.Now().UnixMilli()
			}
		}
	}
	return nil
}

func (s *Store) Sweep(_ context.Context, retention time.Duration) (bool, error) {
	err := s.enter("Sweep")
	defer s.mu.Unlock()
	if err != nil {
		return false, err
	}
	oldest := time.Now().Add(-retention)
	maps.DeleteFunc(s.requests, func(_ uuid.UUID, r *delivery.Request) bool {
		return r.StartedAt().Before(oldest.Truncate(time.Hour))
	})
	maps.DeleteFunc(s.events, func(k eventKey, ev *event) bool {
		return s.event(k) == nil || ev.ReceivedAt.Before(oldest.Add(-delivery.EventGrace))
	})
	maps.DeleteFunc(s.pending, func(d *scheduled, p waiting) bool { return s.ended(d, p) })
	s.forgetCounts()
	return false, nil
}

var _ delivery.Store = (*Store)(nil)

func notFound(what string, id uuid.UUID) error {
	return fmt.Errorf("%s %s: %w", what, id, delivery.ErrNotFound)
}
