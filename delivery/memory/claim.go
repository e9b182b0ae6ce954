package memory

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Claim leases due deliveries, the longest due first, in turn between webhooks.
func (s *Store) Claim(_ context.Context, _ int, room delivery.Room) (delivery.Claimed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := claim{store: s, room: &room, now: s.Now(), fast: room.Fast, slow: room.Slow}
	c.claimed.Next = delivery.ClaimEvery
	// The webhooks that were served longest ago go first.
	for _, w := range slices.SortedFunc(maps.Values(s.webhooks), func(a, b *webhook) int {
		return cmp.Or(cmp.Compare(a.turn, b.turn), bytes.Compare(a.ID[:], b.ID[:]))
	}) {
		if s.dropExpired(w); w.Enabled {
			c.serve(w)
		}
	}
	c.claimed.Due = c.firstDue()
	return c.claimed, nil
}

// firstDue is how long until anything falls due.
func (c *claim) firstDue() time.Duration {
	first := delivery.ClaimEvery
	for _, w := range c.store.webhooks {
		if d := w.first(); w.Enabled && d != nil {
			first = min(first, max(time.UnixMilli(d.due).Sub(c.now), w.lookIn(c.now)))
		}
	}
	return max(0, first)
}

// claim is one Claim.
type claim struct {
	store      *Store
	room       *delivery.Room
	now        time.Time
	fast, slow int // the room that is left
	claimed    delivery.Claimed
}

// serve leases due deliveries of one webhook, as far as there is room.
func (c *claim) serve(w *webhook) {
	given, left := c.room.Fast, &c.fast
	if w.slow {
		given, left = c.room.Slow, &c.slow
	}
	own := c.room.For(w.Ref(), w.slow)
	if given == 0 || own == 0 {
		return // Next ignores it
	}
	for _, next := range w.inOrder() {
		e, d := next.event, next.scheduled
		wait := time.UnixMilli(d.due).Sub(c.now)
		if wait <= 0 && !w.mayStart(c.now) {
			wait = w.lookIn(c.now)
		}
		if wait > 0 {
			c.claimed.Next = min(c.claimed.Next, wait)
			return
		}
		if own == 0 || *left == 0 {
			c.claimed.Next = 0
			if own > 0 && !w.slow {
				c.claimed.Oldest = max(c.claimed.Oldest, -max(wait, w.lookIn(c.now)))
			}
			return
		}
		own--
		*left--
		c.lease(w, e, d)
	}
}

// lease leases one delivery.
func (c *claim) lease(w *webhook, e *event, d *scheduled) {
	c.store.turn++
	w.turn = c.store.turn
	hook, sent, due := w.Webhook, e.Event, time.UnixMilli(d.due)
	d.due = c.now.Add(c.room.Lease).UnixMilli()
	c.claimed.Jobs = append(c.claimed.Jobs, delivery.Job{
		Webhook: &hook, Event: &sent, Attempt: d.Attempts + 1, LeaseEnd: d.due, Slow: w.slow, Due: due,
		StartIn: w.takeStart(c.now),
		Ordered: d.order != (delivery.OrderKey{}),
	})
}

// pending is an event that is pending for a webhook, and its delivery.
type pending struct {
	event     *event
	scheduled *scheduled
}

// inOrder lists the events that are pending for a webhook and wait for no others, the longest due
// first.
func (w *webhook) inOrder() []pending {
	all := make([]pending, 0, len(w.pending))
	for e, d := range w.pending {
		if !w.waits(d) {
			all = append(all, pending{e, d})
		}
	}
	slices.SortFunc(all, func(a, b pending) int {
		return cmp.Or(cmp.Compare(a.scheduled.due, b.scheduled.due), bytes.Compare(a.event.ID[:], b.event.ID[:]))
	})
	return all
}

// first is what is due first of a webhook and waits for no others, or nil.
func (w *webhook) first() (first *scheduled) {
	for _, d := range w.pending {
		if (first == nil || d.due < first.due) && !w.waits(d) {
			first = d
		}
	}
	return first
}

// dropExpired removes deliveries whose events have expired from the schedule.
func (s *Store) dropExpired(w *webhook) {
	maps.DeleteFunc(w.pending, func(e *event, _ *scheduled) bool {
		return s.event(eventKey{e.Tenant, e.ID}) != e
	})
}

// Release makes held deliveries due at once.
func (s *Store) Release(_ context.Context, leases []delivery.Lease) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range leases {
		e, w := s.event(eventKey{l.Webhook.Tenant, l.EventID}), s.webhooks[l.Webhook]
		if e == nil || w == nil {
			continue
		}
		if d := w.pending[e]; d != nil && d.due == l.LeaseEnd {
			d.due = s.Now().UnixMilli()
		}
	}
	return nil
}
