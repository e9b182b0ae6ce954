package delivery

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/backoff"
)

const (
	// MaxDeliveries is how many deliveries one emit may make.
	MaxDeliveries = 10_000

	// maxIntake bounds the memory of a tenant's emits in progress: each takes its data and
	// emitWeight. Those of all tenants take twice as much at most, and those of one
	// partition, if there are others, half as much.
	maxIntake  = 256 << 20
	emitWeight = 64 << 10
	// A batch has at most so many events and bytes of payload: a script blocks Redis
	// while it runs.
	maxBatchEvents = 1000
	maxBatchBytes  = 16 << 20

	// An Accept whose outcome is unknown is repeated until acceptTime has passed.
	acceptTime    = 5 * time.Second
	acceptBackoff = 50 * time.Millisecond
	// maxStale is how often targets are chosen again after webhooks have changed.
	maxStale = 10
)

// emission is one emit on its way into the store.
type emission struct {
	call       AcceptCall
	bytes      int
	weight     int          // in the quota of emits
	webhooks   [][]*Webhook // by event, then by target
	deliveries int          // of all its events
	receipts   []Receipt
	err        error
	unknown    error // of the first Accept that may have been carried out
	began      time.Time
	// withdrawn: the places that were reserved for it were given to others. Answered: it
	// has none reserved any more. The dispatcher guards both with its lock.
	withdrawn, answered bool
	done                chan struct{}
}

// Emit stores the events and schedules their deliveries, all or nothing, and
// returns once that is durable. Each event must be valid.
//
// Errors: ErrTooManyDeliveries, ErrTooManyEventTypes, ErrBusy, ErrFull, ErrUnavailable; ErrOutcomeUnknown and the
// context's, after which the events may or may not be stored; or another of the store.
func (e *Engine) Emit(ctx context.Context, tenant string, events []NewEvent) ([]Receipt, error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	p := e.at(tenant)
	if err := p.watch.refusal(accepting); err != nil && p.accepts.Busy() {
		return nil, err // nothing gathers behind what is being tried
	}
	weight := weigh(events)
	if !p.emits.acquire(tenant, weight) {
		return nil, ErrBusy
	}
	if !e.intake.acquire(p.key, weight) {
		p.emits.release(tenant, weight)
		return nil, ErrBusy
	}
	if err := e.noteTypes(ctx, p, tenant, events); err != nil {
		e.intake.release(p.key, weight)
		return nil, err
	}
	m := newEmission(e.store.Now(), tenant, events)
	m.weight = weight
	m.began = time.Now()
	m.done = make(chan struct{})
	p.accepts.Add(m)
	// Let the deliveries that this started go first: answering the emitter keeps this
	// thread busy for longer than it takes to send them off, and so does waking another.
	runtime.Gosched()
	select {
	case <-m.done:
		return m.receipts, m.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func newEmission(now time.Time, tenant string, events []NewEvent) *emission {
	m := &emission{
		call: AcceptCall{Tenant: tenant, Nonce: uuid.New(), Events: make([]AcceptEvent, len(events))},
	}
	for i, ev := range events {
		id, occurredAt := ev.ID, ev.OccurredAt
		made := id == uuid.Nil
		if made {
			id = NewID(now)
		}
		if occurredAt.IsZero() {
			occurredAt = now.Truncate(time.Millisecond)
		}
		payload := envelope(ev.Type, id, occurredAt, ev.Data)
		m.bytes += len(payload)
		m.call.Events[i] = AcceptEvent{ID: id, New: made, Type: ev.Type, OccurredAt: occurredAt.UTC(), Payload: payload}
	}
	return m
}

// weigh is how much memory an emit takes while it is in progress.
func weigh(events []NewEvent) int {
	weight := emitWeight
	for i := range events {
		weight += len(events[i].Data)
	}
	return weight
}

// limitEmissions bounds a batch by its events and its bytes.
func limitEmissions(waiting []*emission) int {
	events, bytes := 0, 0
	for i, m := range waiting {
		events += len(m.call.Events)
		bytes += m.bytes
		if i > 0 && (events > maxBatchEvents || bytes > maxBatchBytes) {
			return i
		}
	}
	return len(waiting)
}

// accept commits a batch of emissions to a partition.
func (e *Engine) accept(p *partition, batch []*emission) {
	ctx, cancel := context.WithTimeout(context.Background(), acceptTime)
	defer cancel()
	// Only the first Accept asks for leases. If its outcome is unknown it may have given
	// them, and they simply end. Nor does one ask that is likely to fail: others need the
	// places.
	lease := !p.watch.failing(accepting)
	pause := backoff.Backoff{First: acceptBackoff, Most: acceptTime}
	batch = e.refuseLate(p, batch)
	for stale := 0; len(batch) > 0; {
		batch = e.choose(ctx, p, batch, lease)
		again, unknown := e.acceptOnce(ctx, p, batch)
		if unknown != nil {
			lease = false
			e.log().Debug("the store did not say whether it accepted events; repeating the call", zap.Error(unknown))
			if pause.Wait(ctx) != nil {
				e.reject(again, nothingWritten(unknown)) // those whose outcome is known: they were stale
				return
			}
		} else if len(again) > 0 {
			if stale++; stale == maxStale {
				e.reject(again, nothingWritten(ErrStale))
				return
			}
		}
		batch = again
	}
}

// refuseLate rejects emissions that have waited while others of their partition failed.
func (e *Engine) refuseLate(p *partition, batch []*emission) []*emission {
	err := p.watch.refusal(accepting)
	if err == nil {
		return batch
	}
	return slices.DeleteFunc(batch, func(m *emission) bool {
		late := time.Since(m.began) >= blockAfter
		if late {
			e.reject([]*emission{m}, err)
		}
		return late
	})
}

// choose gives each event of the batch its targets, and reserves a place for each
// delivery that can go out at once. It drops emissions that cannot be accepted.
func (e *Engine) choose(ctx context.Context, p *partition, batch []*emission, lease bool) []*emission {
	chosen := batch[:0]
	for _, m := range batch {
		if err := chooseTargets(ctx, p, m); err != nil {
			e.reject([]*emission{m}, err)
			continue
		}
		if lease {
			e.dispatcher.reserve(m)
		}
		chosen = append(chosen, m)
	}
	return chosen
}

func chooseTargets(ctx context.Context, p *partition, m *emission) error {
	began := time.Now()
	tenant, err := p.webhooks.get(ctx, m.call.Tenant)
	if err != nil {
		p.watch.note(accepting, began, err)
		return nothingWritten(err)
	}
	m.call.Version = tenant.version
	m.webhooks = make([][]*Webhook, len(m.call.Events))
	m.deliveries = 0
	for i := range m.call.Events {
		wanting := tenant.wanting(m.call.Events[i].Type)
		if m.deliveries += len(wanting); m.deliveries > MaxDeliveries {
			return ErrTooManyDeliveries
		}
		m.webhooks[i] = wanting
	}
	targets := make([]Target, m.deliveries)
	for i, wanting := range m.webhooks {
		n := len(wanting)
		m.call.Events[i].Targets, targets = targets[:n:n], targets[n:]
		for j, w := range wanting {
			m.call.Events[i].Targets[j].Webhook = w.ID
		}
	}
	return nil
}

// nothingWritten makes an error that promises that nothing was written.
func nothingWritten(err error) error {
	if errors.Is(err, ErrFull) || errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// acceptOnce asks the store to accept a batch and answers the emissions that it accepted
// or refused. It returns the others, which must be tried again, with the error if it is
// unknown what became of them.
func (e *Engine) acceptOnce(ctx context.Context, p *partition, batch []*emission) (again []*emission, unknown error) {
	if len(batch) == 0 {
		return nil, nil
	}
	s := e.settings()
	calls := make([]AcceptCall, len(batch))
	for i, m := range batch {
		calls[i] = m.call
	}
	lease, began := s.lease(), time.Now()
	p.watch.accepts()
	tried := slices.Clone(batch)
	late := time.AfterFunc(blockAfter, func() { e.dispatcher.withdrawPlaces(tried) })
	results := e.store.Accept(ctx, AcceptBatch{Calls: calls, Lease: lease, Retention: s.Retention})
	late.Stop()
	var failed error
	answered := false
	for i, m := range batch {
		result := &results[i]
		switch {
		case result.Err == nil:
			answered = true
			e.accepted(m, result, began.Add(lease))
		case errors.Is(result.Err, ErrStale):
			answered = true
			e.dispatcher.cancelPlaces(m)
			p.webhooks.forget(m.call.Tenant)
			again = append(again, m)
		case m.unknown == nil && (errors.Is(result.Err, ErrFull) || errors.Is(result.Err, ErrUnavailable)):
			e.reject([]*emission{m}, result.Err)
			failed = result.Err
		default:
			e.dispatcher.cancelPlaces(m)
			m.mayBeStored(result.Err)
			again, unknown = append(again, m), result.Err
			failed = result.Err
		}
	}
	if answered {
		failed = nil // of the partition, some calls alone have failed
	}
	p.watch.note(accepting, began, failed)
	return again, unknown
}

// mayBeStored notes that it is not known whether an Accept has stored the events.
func (m *emission) mayBeStored(err error) {
	if m.unknown == nil {
		m.unknown = err
	}
	for i := range m.call.Events {
		m.call.Events[i].New = false
	}
}

// accepted answers the emitter and sends what was leased.
func (e *Engine) accepted(m *emission, result *Accepted, leaseUntil time.Time) {
	m.receipts = make([]Receipt, len(m.call.Events))
	duplicates := 0
	for i := range m.call.Events {
		r := &result.Events[i]
		if r.Duplicate {
			duplicates++
		}
		m.receipts[i] = Receipt{EventID: m.call.Events[i].ID, Deliveries: r.Deliveries, Duplicate: r.Duplicate}
	}
	e.observer.EventsAccepted(len(m.receipts)-duplicates, duplicates)
	e.finish(m)

	leased := make([]*sending, 0, m.deliveries)
	var unused []reservation
	var wait []WebhookRef
	for i := range m.call.Events {
		ev, r := &m.call.Events[i], &result.Events[i]
		var event *Event // nil until a delivery needs it
		for j, target := range ev.Targets {
			ref := WebhookRef{m.call.Tenant, target.Webhook}
			if target.Lease && !r.Duplicate && !r.Repeated && !slices.Contains(result.Unleased, target.Webhook) {
				if event == nil {
					event = newEvent(m.call.Tenant, ev, result.At)
				}
				leased = append(leased, &sending{until: leaseUntil, Job: Job{
					Webhook: m.webhooks[i][j], Event: event, Attempt: 1, LeaseEnd: result.LeaseEnd,
				}})
				continue
			}
			if target.Lease {
				unused = append(unused, reservation{ref, len(ev.Payload)})
			}
			if !r.Duplicate { // if repeated, the first Accept may have given no lease
				wait = append(wait, ref)
			}
		}
	}
	e.dispatcher.accepted(m, leased, unused, wait)
}

// newEvent is an event as it was accepted.
func newEvent(tenant string, ev *AcceptEvent, at time.Time) *Event {
	return &Event{
		Tenant: tenant, ID: ev.ID, Type: ev.Type,
		OccurredAt: ev.OccurredAt, ReceivedAt: at, Payload: ev.Payload,
	}
}

// reject answers emissions that were not accepted.
func (e *Engine) reject(batch []*emission, err error) {
	for _, m := range batch {
		e.dispatcher.cancelPlaces(m)
		if m.err = err; m.unknown != nil { // whatever failed later, it may be stored
			m.err = fmt.Errorf("%w: %w", ErrOutcomeUnknown, m.unknown)
		}
		e.finish(m)
	}
}

// finish answers the emitter.
func (e *Engine) finish(m *emission) {
	p := e.at(m.call.Tenant)
	e.intake.release(p.key, m.weight)
	p.emits.release(m.call.Tenant, m.weight)
	close(m.done)
}
