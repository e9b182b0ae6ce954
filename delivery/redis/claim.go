package redis

import (
	"context"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Claim leases due deliveries, in turn between webhooks. It divides the room among the
// partitions that may have some. Claimed.Next ignores webhooks whose own room is used up,
// by requests in flight or by this claim.
func (s *Store) Claim(ctx context.Context, room delivery.Room) (delivery.Claimed, error) {
	parts, err := s.inTurn()
	if err != nil {
		return delivery.Claimed{}, err
	}
	claimed := delivery.Claimed{Next: delivery.ClaimEvery}
	if room.Fast <= 0 && room.Slow <= 0 {
		return claimed, nil
	}
	due := parts[:0]
	for _, p := range parts {
		if worth, wait := p.shouldClaim(); worth {
			due = append(due, p)
		} else {
			claimed.Next = min(claimed.Next, wait)
		}
	}
	if len(due) == 0 {
		return claimed, nil
	}
	calls := s.claimCalls(due, room)
	s.runAll(ctx, calls...)
	for i, c := range calls {
		e := c.err
		if e == nil {
			e = take(&claimed, due[i], c.reply, room.Lease)
		}
		if e != nil {
			due[i].fallsDue(0)
			err = e
		}
	}
	if len(claimed.Jobs) > 0 {
		// What was leased must be sent. The partitions that failed are asked again soon.
		if err != nil {
			s.log.Error("cannot claim all that is due", zap.Error(err))
			claimed.Next = min(claimed.Next, time.Second)
		}
		return claimed, nil
	}
	return claimed, err
}

// claimCalls divides the room among partitions. Those that get none are still asked when
// their next delivery is due.
func (s *Store) claimCalls(due []*partition, room delivery.Room) []*call {
	inFlight := make(map[*partition][]any, len(due))
	for ref, n := range room.Webhooks {
		if p, err := s.at(ref.Tenant); err == nil {
			inFlight[p] = append(inFlight[p], refText(ref), n)
		}
	}
	calls := make([]*call, len(due))
	for i, p := range due {
		args := make([]any, 0, 7+len(inFlight[p]))
		args = append(
			args, room.Lease.Milliseconds(),
			share(room.Fast, i, len(due)), share(room.Slow, i, len(due)),
			room.Fast > 0, room.Slow > 0,
			room.PerWebhook, delivery.MaxClaimBytes,
		)
		calls[i] = &call{script: claimScript, base: p.base, args: append(args, inFlight[p]...)}
	}
	return calls
}

// share is the share of the i-th of n.
func share(total, i, n int) int {
	part := total / n
	if i < total%n {
		part++
	}
	return min(part, delivery.MaxClaim)
}

// take adds the reply of one partition.
func take(claimed *delivery.Claimed, p *partition, reply []any, lease time.Duration) error {
	const head = 4
	if len(reply) < head || len(reply)%5 != head {
		return errUnknownReply
	}
	if anything, _ := reply[1].(int64); anything >= 0 {
		p.fallsDue(time.Duration(anything) * time.Millisecond)
	}
	if next, _ := reply[2].(int64); next >= 0 {
		claimed.Next = min(claimed.Next, time.Duration(next)*time.Millisecond)
	}
	now, _ := reply[0].(int64)
	ahead, _ := reply[3].(int64)
	leaseEnd := now + ahead + lease.Milliseconds()
	// If the holder of a lease dies, its delivery falls due.
	if len(reply) > head {
		p.fallsDue(lease)
	}
	var err error
	for r := reply[head:]; len(r) > 0; r = r[5:] {
		if e := takeWebhook(claimed, r[:5], leaseEnd); e != nil {
			err = e // the others are leased nevertheless
		}
	}
	return err
}

// takeWebhook adds what was leased of one webhook.
func takeWebhook(claimed *delivery.Claimed, r []any, leaseEnd int64) error {
	id, _ := r[0].(string)
	tenant, _ := r[1].(string)
	record, _ := r[2].(string)
	slow, _ := r[3].(int64)
	jobs, _ := r[4].([]any)
	webhook, err := decodeWebhook(tenant, id, record)
	if err != nil {
		return err
	}
	var unreadable error
	for ; len(jobs) >= 4; jobs = jobs[4:] {
		raw, _ := jobs[0].(string)
		record, _ := jobs[1].(string)
		attempts, _ := jobs[2].(int64)
		due, _ := jobs[3].(int64)
		eventID, err := uuid.FromBytes([]byte(raw))
		if err != nil {
			return errUnknownReply
		}
		event, err := decodeEvent(tenant, eventID, record)
		if err != nil {
			unreadable = err
			continue
		}
		claimed.Jobs = append(claimed.Jobs, delivery.Job{
			Webhook: webhook, Event: &event.Event,
			Attempt: int(attempts) + 1, LeaseEnd: leaseEnd, Slow: slow == 1, Due: time.UnixMilli(due),
		})
	}
	return unreadable
}

// Release makes held deliveries due at once.
func (s *Store) Release(ctx context.Context, leases []delivery.Lease) error {
	byPartition := make(map[*partition][]*call)
	var all []*call
	var parts []*partition
	for _, l := range leases {
		p, err := s.at(l.Webhook.Tenant)
		if err != nil {
			return err
		}
		of := byPartition[p]
		if len(of) == 0 || len(of[len(of)-1].args) >= 3*maxEventsPerScript {
			c := &call{script: releaseScript, base: p.base}
			of = append(of, c)
			byPartition[p] = of
			all = append(all, c)
			parts = append(parts, p)
		}
		c := of[len(of)-1]
		c.args = append(c.args, refText(l.Webhook), l.EventID[:], l.LeaseEnd)
	}
	if len(all) == 0 {
		return nil
	}
	s.runAll(ctx, all...)
	var err error
	for i, c := range all {
		parts[i].fallsDue(0)
		if c.err != nil {
			err = c.err
		}
	}
	return err
}
