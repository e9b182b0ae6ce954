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
		if w.Enabled {
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
		if pending := c.store.inOrder(w); w.Enabled && len(pending) > 0 {
			due := time.UnixMilli(w.pending[pending[0]].due).Sub(c.now)
			first = min(first, max(due, w.lookIn(c.now)))
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
	for _, e := range c.store.inOrder(w) {
		d := w.pending[e]
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

// inOrder drops a webhook's expired events, and lists those that are pending and wait for no
// others, the longest due first.
func (s *Store) inOrder(w *webhook) []*event {
	s.dropExpired(w)
	all := slices.SortedFunc(maps.Keys(w.pending), func(a, b *event) int {
		return cmp.Or(cmp.Compare(w.pending[a].due, w.pending[b].due), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return slices.DeleteFunc(all, func(e *event) bool { return w.waits(w.pending[e]) })
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
