package redis

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
)

// Claim leases due deliveries of a partition, in turn between webhooks. Claimed.Next
// ignores webhooks whose own room is used up, by requests in flight or by this claim.
func (s *Store) Claim(ctx context.Context, partition int, room delivery.Room) (delivery.Claimed, error) {
	claimed := delivery.Claimed{Next: delivery.ClaimEvery, Due: delivery.ClaimEvery}
	p, err := s.number(partition)
	if err != nil || room.Fast <= 0 && room.Slow <= 0 {
		return claimed, err
	}
	args := make([]any, 0, 7+2*len(room.Webhooks))
	args = append(
		args, room.Lease.Milliseconds(),
		min(room.Fast, delivery.MaxClaim), min(room.Slow, delivery.MaxClaim),
		room.Fast > 0, room.Slow > 0,
		room.PerWebhook, delivery.MaxClaimBytes,
	)
	for ref, n := range room.Webhooks {
		args = append(args, refText(ref), n)
	}
	reply, err := s.run(ctx, claimScript, p.base, args...)
	if err != nil {
		return claimed, err
	}
	err = s.take(ctx, &claimed, p, reply, room.Lease)
	return claimed, err
}

// take adds the reply of the script.
func (s *Store) take(ctx context.Context, claimed *delivery.Claimed, p *partition, reply []any, lease time.Duration) error {
	const head = 5
	if len(reply) < head || (len(reply)-head)%5 != 0 {
		return errUnknownReply
	}
	oldest, _ := reply[1].(int64)
	claimed.Oldest = time.Duration(oldest) * time.Millisecond
	if next, _ := reply[2].(int64); next >= 0 {
		claimed.Next = min(claimed.Next, time.Duration(next)*time.Millisecond)
	}
	if due, _ := reply[3].(int64); due >= 0 {
		claimed.Due = min(claimed.Due, time.Duration(due)*time.Millisecond)
	}
	now, _ := reply[0].(int64)
	ahead, _ := reply[4].(int64)
	leaseEnd := now + ahead + lease.Milliseconds()
	var bad []unreadable
	for r := reply[head:]; len(r) > 0; r = r[5:] {
		bad = append(bad, s.takeWebhook(claimed, p.base, r[:5], leaseEnd)...)
	}
	s.setAside(ctx, p.base, bad...)
	return nil
}

// takeWebhook adds what was leased of one webhook, and returns what cannot be read of it.
func (s *Store) takeWebhook(claimed *delivery.Claimed, base string, r []any, leaseEnd int64) (bad []unreadable) {
	id, _ := r[0].(string)
	tenant, _ := r[1].(string)
	record, _ := r[2].(string)
	marks, startIn := readKind(r[3]) // 1 slow, 2 with queues
	jobs, _ := r[4].([]any)
	webhook, err := decodeWebhook(tenant, id, record, s.encryption.Keys())
	if encryption.IsMissingKey(err) {
		_ = s.encryption.Missing(err)
		claimed.Next = max(claimed.Next, keyPatience)
		return nil
	}
	if err != nil {
		return []unreadable{unreadableWebhook(base, tenant, id, record, err)}
	}
	for n := 0; len(jobs) >= 4; n, jobs = n+1, jobs[4:] {
		raw, _ := jobs[0].(string)
		record, _ := jobs[1].(string)
		attempts, _ := jobs[2].(int64)
		due, _ := jobs[3].(int64)
		eventID, err := uuid.FromBytes([]byte(raw))
		if err != nil {
			continue // no event has such an id
		}
		event, err := decodeEvent(tenant, eventID, record)
		if err == nil {
			err = s.encryption.DecryptEvent(&event.Event)
		}
		if encryption.IsMissingKey(err) {
			claimed.Next = max(claimed.Next, keyPatience)
			continue
		}
		if err != nil {
			bad = append(bad, unreadableEvent(base, tenant, eventID, record, err)...)
			continue
		}
		claimed.Jobs = append(claimed.Jobs, delivery.Job{
			Webhook: webhook, Event: &event.Event,
			Attempt: int(attempts) + 1, LeaseEnd: leaseEnd, Slow: marks&1 != 0, Due: time.UnixMilli(due), Ordered: marks&2 != 0,
			StartIn: startIn.of(webhook, n),
		})
	}
	return bad
}

// Release makes held deliveries due at once.
func (s *Store) Release(ctx context.Context, leases []delivery.Lease) error {
	batches := newBatches(func(p *partition) *call { return &call{script: releaseScript, base: p.base} })
	for _, l := range leases {
		p, err := s.at(l.Webhook.Tenant)
		if err != nil {
			return err
		}
		c := batches.of(p)
		c.args = append(c.args, refText(l.Webhook), l.EventID[:], l.LeaseEnd)
	}
	if len(batches.all) == 0 {
		return nil
	}
	s.runAll(ctx, batches.all...)
	for _, c := range batches.all {
		if c.err != nil {
			return c.err
		}
	}
	return nil
}

// isFull reports whether a call of release.lua has enough to do.
func (c *call) isFull() bool { return len(c.args) >= 3*maxEventsPerScript }
