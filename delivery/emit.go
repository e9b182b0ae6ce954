package delivery

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
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
	// maxStale is how often targets are chosen again after webhooks have changed, until
	// acceptTime has passed: a tenant's emits must get through while its webhooks change all
	// the time.
	maxStale = 100
)

// emission is one emit on its way into the store.
type emission struct {
	call       AcceptCall
	bytes      int
	weight     int                        // in the quota of emits
	webhooks   [][]*subscription          // by event, then by target
	records    map[*subscription]*Webhook // of those whose records are not remembered; nil if there are none
	orders     [][]OrderKey               // in the same way; nil if there are none, also for an event
	deliveries int                        // of all its events
	receipts   []Receipt
	err        error
	unknown    error // of the first Accept that may have been carried out
	began      time.Time
	stale      int // how often its targets were
	staleSince time.Time
	// withdrawn: the places that were reserved for it were given to others. Answered: it
	// has none reserved any more. The dispatcher guards both with its lock.
	withdrawn, answered bool
	// done is closed when it has an answer, or its targets must be chosen again.
	done  chan struct{}
	again bool
	waits atomic.Uint32
}

// Whose an emission is that has been added to others.
const (
	emitterWaits = iota // for done
	emitterLeft         // so that nobody would choose its targets again
	emitterMoves        // since it has been given back
)

// Emit stores the events and schedules their deliveries, all or nothing, and
// returns once that is durable. Each event must be valid.
//
// Errors: ErrTooManyDeliveries, ErrFiltersTooCostly, ErrOrdersTooCostly, ErrTooManyEventTypes, ErrBusy, ErrFull, ErrUnavailable; ErrOutcomeUnknown and the
// context's, after which the events may or may not be stored; or another of the store.
func (e *Engine) Emit(ctx context.Context, tenant string, events []NewEvent) ([]Receipt, error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	p := e.at(tenant)
	if err := p.watch.refusal(accepting); err != nil && (p.accepts.Busy() || p.reads.running.Load() > 0) {
		return nil, err // nothing gathers behind what is being tried
	}
	weight := weigh(events)
	if !e.takeShares(p, tenant, weight) {
		return nil, ErrBusy
	}
	if err := e.noteTypes(ctx, p, tenant, events); err != nil {
		e.giveShares(p, tenant, weight)
		return nil, err
	}
	m := newEmission(e.store.Now(), tenant, events)
	m.weight = weight
	m.began = time.Now()
	for {
		m.done, m.again = make(chan struct{}), false
		m.waits.Store(emitterWaits)
		if err := e.choose(ctx, p, m); err != nil {
			e.reject([]*emission{m}, err)
			return nil, m.err
		}
		p.accepts.Add(m)
		// Let the deliveries that this started go first: answering the emitter keeps this
		// thread busy for longer than it takes to send them off, and so does waking another.
		runtime.Gosched()
		select {
		case <-m.done:
		case <-ctx.Done():
			if m.waits.CompareAndSwap(emitterWaits, emitterLeft) {
				return nil, ctx.Err()
			}
			<-m.done
		}
		if !m.again {
			return m.receipts, m.err
		}
	}
}

// takeShares takes what an emit needs of its tenant's share and of its partition's, until
// giveShares; false if there is too little left of one.
func (e *Engine) takeShares(p *partition, tenant string, weight int) bool {
	if !p.emits.acquire(tenant, weight) {
		return false
	}
	if !e.intake.acquire(p.key, weight) {
		p.emits.release(tenant, weight)
		return false
	}
	return true
}

// giveShares gives back what takeShares took.
func (e *Engine) giveShares(p *partition, tenant string, weight int) {
	e.intake.release(p.key, weight)
	p.emits.release(tenant, weight)
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
	for len(batch) > 0 {
		for _, m := range batch {
			if lease && m.unknown == nil {
				e.dispatcher.reserve(m)
			}
		}
		again, unknown := e.acceptOnce(ctx, p, batch)
		if unknown != nil {
			lease = false
			e.log().Debug("the store did not say whether it accepted events; repeating the call", zap.Error(unknown))
			if pause.Wait(ctx) != nil {
				e.reject(again, nothingWritten(unknown))
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

// choose gives each event its targets. It reads what it needs before the emission joins others,
// which wait for none of that.
func (e *Engine) choose(ctx context.Context, p *partition, m *emission) error {
	if m.stale > 0 && ctx.Err() != nil {
		return ctx.Err() // nobody waits any more
	}
	began := time.Now()
	err := e.chooseTargets(ctx, p, m)
	if err == nil || ctx.Err() != nil || errors.Is(err, ErrTooManyDeliveries) || errors.Is(err, ErrFiltersTooCostly) || errors.Is(err, ErrOrdersTooCostly) {
		return err
	}
	if !errors.Is(err, ErrStale) && !encryption.IsMissingKey(err) { // which are this tenant's alone
		p.watch.noteUnread(began, err)
	}
	return nothingWritten(err)
}

func (e *Engine) chooseTargets(ctx context.Context, p *partition, m *emission) error {
	of, err := e.subscriptions.get(ctx, m.call.Tenant, nil, p.reads)
	if err == nil && of.asked != nil {
		of, err = e.subscriptions.get(ctx, m.call.Tenant, m.types(), p.reads)
	}
	if err != nil {
		return err
	}
	m.call.Version = of.version
	m.webhooks = make([][]*subscription, len(m.call.Events))
	m.deliveries, m.orders = 0, nil
	for i := range m.call.Events {
		m.webhooks[i] = of.wanting(m.call.Events[i].Type)
	}
	if of.filters > 0 {
		if err := e.filter(ctx, m, of); err != nil {
			return err
		}
	}
	for _, wanting := range m.webhooks {
		if m.deliveries += len(wanting); m.deliveries > MaxDeliveries {
			return ErrTooManyDeliveries
		}
	}
	targets := make([]Target, m.deliveries)
	for i, wanting := range m.webhooks {
		n := len(wanting)
		m.call.Events[i].Targets, targets = targets[:n:n], targets[n:]
		for j, w := range wanting {
			m.call.Events[i].Targets[j].Webhook = w.id
		}
		if m.orders != nil {
			for j, key := range m.orders[i] {
				m.call.Events[i].Targets[j].Order = key
			}
		}
	}
	if of.records || m.deliveries == 0 {
		return nil
	}
	return e.readRecords(ctx, m)
}

// nothingWritten makes an error that promises that nothing was written.
func nothingWritten(err error) error {
	if errors.Is(err, ErrFull) || errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// acceptOnce asks the store to accept a batch and answers the emissions that it accepted
// or refused. It returns those of which it is unknown what became, which must be tried again,
// with the error.
func (e *Engine) acceptOnce(ctx context.Context, p *partition, batch []*emission) (again []*emission, unknown error) {
	if len(batch) == 0 {
		return nil, nil
	}
	a := e.active.Load()
	calls := make([]AcceptCall, len(batch))
	for i, m := range batch {
		calls[i] = m.call
	}
	lease, began := a.lease(), time.Now()
	p.watch.accepts()
	tried := slices.Clone(batch)
	late := time.AfterFunc(blockAfter, func() { e.dispatcher.withdrawPlaces(tried) })
	results := e.store.Accept(ctx, AcceptBatch{Calls: calls, Lease: lease, Retention: a.settings.Retention})
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
			e.chooseAgain(m)
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

// chooseAgain gives an emission back whose targets are out of date, so that they are chosen anew
// while others go on.
func (e *Engine) chooseAgain(m *emission) {
	e.subscriptions.stale(m.call.Tenant, m.call.Version)
	if m.stale++; m.stale == 1 {
		m.staleSince = time.Now()
	}
	tried := m.stale >= maxStale || time.Since(m.staleSince) >= acceptTime
	if tried || !m.waits.CompareAndSwap(emitterWaits, emitterMoves) {
		e.reject([]*emission{m}, nothingWritten(ErrStale))
		return
	}
	e.dispatcher.cancelPlaces(m)
	m.again = true
	close(m.done)
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
	e.countEvents(&m.call, result)
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
					Webhook: m.record(i, j), Event: event, Attempt: 1, LeaseEnd: result.LeaseEnd,
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
	e.giveShares(e.at(m.call.Tenant), m.call.Tenant, m.weight)
	close(m.done)
}
