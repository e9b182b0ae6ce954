package embedded

import (
	"container/heap"
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// Claim leases due deliveries, in turn between webhooks. It writes nothing: leases are
// in memory, and end with the process.
func (s *Store) Claim(_ context.Context, _ int, room delivery.Room) (delivery.Claimed, error) {
	c := claim{
		store: s, room: room, at: s.clock.now(),
		left: make(map[*webhook]int),
	}
	c.leaseEnd = c.at.schedule + room.Lease.Milliseconds()
	if err := c.choose(); err != nil {
		return delivery.Claimed{}, err
	}
	if len(c.chosen) > 0 && !c.readBeside() {
		err := s.read(c.readJobs)
		if errors.Is(err, errDamaged) {
			err = c.readEach()
		} else if err != nil {
			c.giveBack(c.chosen)
		}
		if err != nil {
			return delivery.Claimed{}, err
		}
	}
	return c.claimed, nil
}

// claim is one Claim.
type claim struct {
	store    *Store
	room     delivery.Room
	at       moment
	leaseEnd int64
	left     map[*webhook]int // the room for webhooks that have had their turn
	chosen   []chosen
	claimed  delivery.Claimed
}

// chosen is a delivery that was leased, with its entry from before.
type chosen struct {
	entry
	webhook *webhook
	record  *delivery.Webhook
	slow    bool
	startIn time.Duration
}

// choose leases what is due, and finds out when more falls due.
func (c *claim) choose() error {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	if c.store.db == nil {
		return errNotOpen
	}
	state := c.store.state
	c.take(&state.fast, c.room.Fast)
	c.take(&state.slow, c.room.Slow)
	c.claimed.Next = delivery.ClaimEvery // no other process writes here: this only limits what a mistake costs
	c.claimed.Due = c.claimed.Next
	for _, q := range []queue{state.fast, state.slow} {
		if q.Len() > 0 {
			c.claimed.Due = min(c.claimed.Due, time.Duration(max(0, q[0].at-c.at.schedule))*time.Millisecond)
		}
	}
	if c.room.Fast > 0 {
		c.claimed.Oldest = c.findNext(&state.fast)
	}
	if c.room.Slow > 0 {
		c.findNext(&state.slow)
	}
	return nil
}

// take gives due webhooks their turn, and skips those without room.
func (c *claim) take(q *queue, budget int) {
	budget = min(budget, delivery.MaxClaim)
	now := c.at.schedule
	var passed []*webhook
	for budget > 0 && q.Len() > 0 && (*q)[0].at <= now {
		w := heap.Pop(q).(*webhook)
		passed = append(passed, w)
		n := min(c.roomFor(w), budget)
		if n <= 0 {
			continue
		}
		taken := w.takeHeads(min(n, w.freeStarts(now)), now, c.leaseEnd)
		first := w.takeStarts(now, len(taken))
		for i, e := range taken {
			c.chosen = append(c.chosen, chosen{e, w, w.record, w.slow, first + w.spacing(i)})
		}
		c.left[w] = c.roomFor(w) - len(taken)
		budget -= len(taken)
	}
	for _, w := range passed {
		_, hadTurn := c.left[w]
		if !hadTurn {
			heap.Push(q, w)
			continue
		}
		c.store.state.reschedule(w, now, true)
	}
}

// roomFor is how many more deliveries of a webhook there is room for.
func (c *claim) roomFor(w *webhook) int {
	if n, ok := c.left[w]; ok {
		return n
	}
	return c.room.For(w.record.Ref(), w.slow)
}

// findNext finds out when the first webhook that still has room is due, and for how long it
// has been.
func (c *claim) findNext(q *queue) (overdue time.Duration) {
	var passed []*webhook
	for q.Len() > 0 {
		w := (*q)[0]
		if w.at-c.at.schedule >= c.claimed.Next.Milliseconds() {
			break
		}
		if c.roomFor(w) > 0 {
			c.claimed.Next = time.Duration(max(0, w.at-c.at.schedule)) * time.Millisecond
			overdue = time.Duration(max(0, c.at.schedule-w.at)) * time.Millisecond
			break
		}
		passed = append(passed, heap.Pop(q).(*webhook))
	}
	for _, w := range passed {
		heap.Push(q, w)
	}
	return overdue
}

// readJobs reads what it takes to send the chosen deliveries. It drops those whose event
// has expired or cannot be read, and gives back those that exceed what one Claim may read.
func (c *claim) readJobs(tx *view) error {
	found := c.find(tx)
	c.takeIn(&found)
	return nil
}

// jobsFound is what was read of the chosen deliveries.
type jobsFound struct {
	jobs          []delivery.Job
	read          []storedID
	dropped, left []chosen
	waits         bool // the key of a payload is missing: it is due again when the lease ends
}

// find reads what it takes to send the chosen deliveries.
func (c *claim) find(tx *view) jobsFound {
	events, pending := tx.bucket(eventsBucket), tx.bucket(pendingBucket)
	bytes := 0
	f := jobsFound{jobs: make([]delivery.Job, 0, len(c.chosen)), read: make([]storedID, 0, len(c.chosen))}
	for i := range c.chosen {
		if bytes >= delivery.MaxClaimBytes {
			f.left = c.chosen[i:]
			break
		}
		d := &c.chosen[i]
		job, size, waits := c.job(d, events, pending)
		bytes += size
		switch {
		case waits:
			f.waits = true
		case job == nil:
			f.dropped = append(f.dropped, *d)
		default:
			f.jobs = append(f.jobs, *job)
			f.read = append(f.read, storedID{eventID{d.webhook.tenant.number, job.Event.ID}, d.event})
		}
	}
	return f
}

// takeIn takes in what was read.
func (c *claim) takeIn(f *jobsFound) {
	c.claimed.Jobs = append(c.claimed.Jobs, f.jobs...)
	if len(f.left) > 0 {
		c.giveBack(f.left)
	}
	c.remember(f.read)
	c.drop(f.dropped)
}

// remember remembers events. It does not remember those from before the store was opened:
// Complete looks for their ids, and restores an id whose record is lost.
func (c *claim) remember(events []storedID) {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	for _, e := range events {
		if e.number > c.store.state.opened {
			c.store.state.recent.add(e.eventID, e.number)
		}
	}
}

// readEach reads the chosen deliveries one by one, since a page that one of them needs is
// damaged. It drops those that need it: the file still has them.
func (c *claim) readEach() error {
	all := c.chosen
	c.claimed.Jobs = nil
	for i := range all {
		c.chosen = all[i : i+1]
		err := c.store.read(c.readJobs)
		switch {
		case errors.Is(err, errDamaged):
			c.store.log.Error("a delivery cannot be read and was taken off the schedule",
				zap.String("tenant", all[i].record.Tenant), zap.Stringer("webhook_id", all[i].record.ID),
				zap.Uint64("event_number", all[i].event), zap.Error(err))
			c.store.damage.count()
			c.drop(all[i : i+1])
		case err != nil:
			c.giveBack(all[i:])
			return err
		}
	}
	return nil
}

// job reads one delivery, nil if its event has expired or cannot be read. It waits if the
// key of its payload is missing.
func (c *claim) job(d *chosen, events, pending bucket) (job *delivery.Job, size int, waits bool) {
	key, stateKey := number8(d.event), deliveryKey(d.event, d.webhook.number)
	value := events.get(key)
	if value == nil {
		if pending.get(stateKey) != nil { // an event that was swept takes its deliveries along
			pending.undecodable(stateKey)
		}
		return nil, 0, false
	}
	head, err := decodeEventHead(value)
	if err == nil && head.expires <= c.at.wall {
		return nil, 0, false
	}
	e, err := decodeEvent(d.record.Tenant, value)
	if err == nil {
		err = c.store.encryption.DecryptEvent(&e.Event)
	}
	if encryption.IsMissingKey(err) {
		return nil, 0, true
	}
	if err != nil {
		events.undecodable(key)
		return nil, 0, false
	}
	if e.Erased {
		return nil, 0, false // just now
	}
	state, err := record.DecodeDelivery(pending.get(stateKey))
	if err != nil {
		pending.undecodable(stateKey)
	}
	due := time.UnixMilli(d.due - c.at.ahead())
	if d.due == 0 {
		due = e.ReceivedAt
	}
	return &delivery.Job{
		Webhook: d.record, Event: &e.Event,
		Attempt: int(state.Attempts) + 1, LeaseEnd: c.leaseEnd, Slow: d.slow, Due: due,
		StartIn: d.startIn,
		Ordered: state.Order != (delivery.OrderKey{}),
	}, len(value), false
}

// drop removes deliveries whose event has expired from the schedule.
func (c *claim) drop(dropped []chosen) {
	if len(dropped) == 0 {
		return
	}
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	for _, d := range dropped {
		if due, ok := d.webhook.schedule.due(d.event); ok && due == c.leaseEnd && c.store.state.byNumber[d.webhook.number] == d.webhook {
			c.store.state.unschedule(d.webhook, d.event, c.at.schedule)
		}
	}
	c.claimed.Next, c.claimed.Due = 0, 0
}

// giveBack ends leases that were just taken.
func (c *claim) giveBack(leased []chosen) {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	for _, d := range leased {
		c.store.release(d.webhook, d.event, c.leaseEnd, d.due)
	}
	c.claimed.Next, c.claimed.Due = 0, 0
}

// release makes a delivery due if it is still held by that lease.
func (s *Store) release(w *webhook, event uint64, leaseEnd, due int64) {
	if s.state.byNumber[w.number] != w {
		return
	}
	if held, ok := w.schedule.due(event); ok && held == leaseEnd {
		s.state.schedule(w, event, due, s.clock.now().schedule)
	}
}

// Release makes held deliveries due at once.
func (s *Store) Release(_ context.Context, leases []delivery.Lease) error {
	if len(leases) == 0 {
		return nil
	}
	return s.read(func(tx *view) error {
		ids := tx.bucket(idsBucket)
		s.mu.Lock()
		defer s.mu.Unlock()
		now := s.clock.now().schedule
		for _, l := range leases {
			w := s.state.webhook(l.Webhook)
			if w == nil {
				continue
			}
			if event, ok := findEvent(ids, w.tenant.number, l.EventID); ok {
				s.release(w, eventNumber(event), l.LeaseEnd, now)
			}
		}
		return nil
	})
}
