package redis

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

var (
	importEventsScript   = loadScript("import_events")
	importRequestsScript = loadScript("import_requests")
)

// Import adds what does not exist yet.
func (s *Store) Import(ctx context.Context, batch *delivery.Batch) (added int, err error) {
	if added, err = s.importWebhooks(ctx, batch.Webhooks); err != nil {
		return added, err
	}
	calls, err := s.importEvents(batch.Events)
	if err != nil {
		return added, err
	}
	more, err := s.importRequests(batch.Requests)
	if err != nil {
		return added, err
	}
	audits, err := s.importAudits(batch.Audits)
	if err != nil {
		return added, err
	}
	if calls = slices.Concat(calls, more, audits); len(calls) == 0 {
		return added, nil
	}
	s.runAll(ctx, calls...)
	for _, c := range calls {
		switch {
		case c.err != nil:
			err = c.err
		case len(c.reply) != 2:
			err = errUnknownReply
		default:
			n, _ := c.reply[1].(int64)
			added += int(n)
		}
	}
	return added, err
}

func (s *Store) importWebhooks(ctx context.Context, all []delivery.StoredWebhook) (added int, err error) {
	if len(all) == 0 {
		return 0, nil
	}
	bases := make([]string, len(all))
	exists := make([]*redis.BoolCmd, len(all))
	pipe := s.client().Pipeline()
	for i := range all {
		p, err := s.at(all[i].Tenant)
		if err != nil {
			return 0, err
		}
		bases[i] = p.base
		exists[i] = pipe.HExists(ctx, webhooksKey(p.base, all[i].Tenant), all[i].ID.String())
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, s.wrap(err)
	}
	var missing []*delivery.StoredWebhook
	var calls []*call
	for i := range all {
		if w := &all[i]; !exists[i].Val() {
			state := webhookState(&w.Webhook)
			if w.Slow {
				state += slowMark
			}
			missing = append(missing, w)
			calls = append(calls, &call{script: createWebhookScript, base: bases[i], args: []any{
				w.Tenant, w.ID.String(), record.EncodeWebhook(&w.Webhook, s.encryption.Keys()), state, webhookRate(&w.Webhook), delivery.MaxWebhooks, declaredMark(&w.Webhook),
			}})
		}
	}
	s.runAll(ctx, calls...)
	for i, c := range calls {
		switch {
		case c.err != nil:
			return added, c.err
		case len(c.reply) != 2:
			return added, errUnknownReply
		case c.reply[1] != int64(webhookWritten):
			return added, fmt.Errorf("tenant %s: %w", missing[i].Tenant, delivery.ErrTooManyWebhooks)
		}
		added++
	}
	return added, nil
}

// importEvents makes calls of the script, none of which does more than a script may.
func (s *Store) importEvents(all []delivery.StoredEvent) ([]*call, error) {
	batches := newBatches(newAcceptance)
	for i := range all {
		e := &all[i]
		p, err := s.at(e.Tenant)
		if err != nil {
			return nil, err
		}
		batches.of(p).addStored(e)
	}
	calls := make([]*call, len(batches.all))
	for i, a := range batches.all {
		args := append([]any{len(a.refs)}, a.refs...)
		args = append(args, s.longChunk)
		calls[i] = &call{script: importEventsScript, base: a.partition.base, args: append(args, a.args...)}
	}
	return calls, nil
}

// addStored adds an event for import_events.lua.
func (a *acceptance) addStored(e *delivery.StoredEvent) {
	accepted := &delivery.AcceptEvent{
		ID: e.ID, Type: e.Type, OccurredAt: e.OccurredAt, Payload: e.Payload, Test: e.Test,
	}
	var deliveries []byte
	for i := range e.Deliveries {
		d := &e.Deliveries[i]
		accepted.Targets = append(accepted.Targets, delivery.Target{Webhook: d.Webhook})
		number := a.number(delivery.WebhookRef{Tenant: e.Tenant, ID: d.Webhook})
		if !d.Due.IsZero() && d.Order != (delivery.OrderKey{}) {
			number |= orderedBit
		}
		deliveries = binary.BigEndian.AppendUint16(deliveries, uint16(number))
		deliveries = binary.BigEndian.AppendUint64(deliveries, uint64(record.Millis(d.Due)))
		deliveries = record.AppendStoredDelivery(deliveries, d)
		if number&orderedBit != 0 {
			deliveries = binary.BigEndian.AppendUint64(append(deliveries, d.Order[:]...), d.OrderPlace)
		}
	}
	stored := fmt.Appendf(nil, "%0*d", receivedSize, e.ReceivedAt.UnixMilli())
	encoded := encodeEvent(a.partition.encryption.Event(e.Tenant, accepted), e.Nonce, e.Place)
	if e.Erased {
		encoded = append(encoded[:callSize], encodeErased(&e.Event, e.Test, webhooksOf(accepted))...)
	}
	stored = append(stored, encoded...)
	a.args = append(a.args, e.Tenant, e.ID[:], stored, e.Expires.UnixMilli(), bucket(e.ReceivedAt, e.ID), deliveries, appendArrived(nil, accepted))
	a.events++
	a.deliveries += len(e.Deliveries)
	a.bytes += len(stored)
}

// importRequests makes calls of the script, none of which does more than a script may.
func (s *Store) importRequests(all []delivery.StoredRequest) ([]*call, error) {
	batches := newBatches(newCompletion)
	for i := range all {
		p, err := s.at(all[i].Tenant)
		if err != nil {
			return nil, err
		}
		batches.of(p).addStored(&all[i])
	}
	calls := make([]*call, len(batches.all))
	for i, c := range batches.all {
		calls[i] = c.call(importRequestsScript)
	}
	return calls, nil
}

// addStored adds a row of the log for import_requests.lua.
func (c *completion) addStored(r *delivery.StoredRequest) {
	row := append([]byte(nil), r.Previous[:]...)
	row = binary.BigEndian.AppendUint64(row, uint64(record.Millis(r.NextAttemptAt)))
	row = append(row, encodeRequest(&r.Request)...)
	started := r.StartedAt()
	c.args = append(
		c.args, c.refNumber(&r.Request), c.types.number(r.EventType),
		r.ID[:], slotOf(started).String(), dayOf(started), row, c.partition.encryption.Request(&r.Request).ResponseBody, c.counterNumber(&r.Request),
	)
	c.outcomes++
	c.bytes += len(row) + len(r.ResponseBody)
}
