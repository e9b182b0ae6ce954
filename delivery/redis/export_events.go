package redis

import (
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// foundEvent is a key that the scan found.
type foundEvent struct {
	key       string
	partition int
	tenant    string
	id        uuid.UUID
	expires   *redis.DurationCmd
	value     *redis.StringCmd
}

func (e *export) events() error {
	masters, err := e.masters(e.ctx)
	if err != nil {
		return err
	}
	for _, master := range masters {
		err := e.scan(func(cursor uint64) *redis.ScanCmd {
			return master.Scan(e.ctx, cursor, e.keys.eventPattern(), delivery.BatchItems)
		}, e.found)
		if err != nil {
			return err
		}
	}
	return nil
}

// found reads the events of a page of keys, no more at a time than fit into a batch.
func (e *export) found(keys []string) error {
	events := make([]*foundEvent, 0, len(keys))
	for _, key := range keys {
		f := &foundEvent{key: key}
		var ok bool
		if f.partition, f.tenant, f.id, ok = e.keys.parseEventKey(key); ok && f.partition < len(e.parts) {
			events = append(events, f)
		}
	}
	sizes := make([]*redis.IntCmd, len(events))
	err := e.pipeline(func(pipe redis.Pipeliner) {
		for i, f := range events {
			sizes[i] = pipe.StrLen(e.ctx, f.key)
			f.expires = pipe.PExpireTime(e.ctx, f.key)
		}
	})
	if err != nil {
		return err
	}
	for first, end := range groups(sizes) {
		if err := e.read(events[first:end]); err != nil {
			return err
		}
	}
	return nil
}

// read adds events to the batch, except those that have expired meanwhile or are older than
// the retention.
func (e *export) read(found []*foundEvent) error {
	err := e.pipeline(func(pipe redis.Pipeliner) {
		for _, f := range found {
			f.value = pipe.Get(e.ctx, f.key)
		}
	})
	if err != nil {
		return err
	}
	var events []*exportedEvent
	for _, f := range found {
		if errors.Is(f.value.Err(), redis.Nil) || f.expires.Val() <= 0 {
			continue
		}
		read, err := decodeEvent(f.tenant, f.id, f.value.Val())
		if err != nil {
			base := e.parts[f.partition].base
			e.setAside(e.ctx, base, unreadableEvent(base, f.tenant, f.id, f.value.Val(), err))
			continue
		}
		if read.isDropped(e.swept[f.partition]) {
			continue
		}
		head := f.value.Val()[receivedSize:eventHeadSize]
		events = append(events, &exportedEvent{read: read, partition: f.partition, StoredEvent: delivery.StoredEvent{
			Event: read.Event, Expires: time.UnixMilli(f.expires.Val().Milliseconds()).UTC(),
			Nonce: uuid.UUID([]byte(head[:16])), Place: int(head[16])<<8 | int(head[17]), Test: read.test,
		}})
	}
	if err := e.deliveries(events); err != nil {
		return err
	}
	if err := e.schedule(events); err != nil {
		return err
	}
	for _, event := range events {
		e.batch.AddEvent(event.StoredEvent)
		if err := e.added(); err != nil {
			return err
		}
	}
	return nil
}

// exportedEvent is an event, and what it takes to read its deliveries.
type exportedEvent struct {
	delivery.StoredEvent
	read      *storedEvent
	partition int
}

// deliveries reads the states of deliveries whose webhooks exist.
func (e *export) deliveries(events []*exportedEvent) error {
	type part struct {
		*call
		event   *exportedEvent
		targets []uuid.UUID
	}
	var parts []part
	var calls []*call
	for _, event := range events {
		for targets := range slices.Chunk(event.read.targets, deliveriesPerScript) {
			c := &call{script: eventScript, base: e.parts[event.partition].base, args: event.read.args(targets)}
			parts, calls = append(parts, part{c, event, targets}), append(calls, c)
		}
	}
	if len(calls) > 0 {
		e.runAll(e.ctx, calls...)
	}
	for _, p := range parts {
		if p.err != nil {
			return p.err
		}
		if len(p.reply) != 1+len(p.targets) {
			return errUnknownReply
		}
		for i, webhook := range p.targets {
			stored, exists := p.reply[1+i].(string)
			if !exists {
				continue
			}
			d, err := record.DecodeDelivery([]byte(stored))
			if err != nil {
				return err
			}
			copied, err := d.Stored(webhook)
			if err != nil {
				return err
			}
			p.event.Deliveries = append(p.event.Deliveries, copied)
		}
	}
	return nil
}

// schedule reads when pending deliveries fall due.
func (e *export) schedule(events []*exportedEvent) error {
	var pending []*delivery.StoredDelivery
	var ahead []time.Duration
	var scores []*redis.FloatCmd
	err := e.pipeline(func(pipe redis.Pipeliner) {
		for _, event := range events {
			for i := range event.Deliveries {
				d := &event.Deliveries[i]
				if d.Status != delivery.DeliveryPending {
					continue
				}
				key := pendingKey(e.parts[event.partition].base, delivery.WebhookRef{Tenant: event.Tenant, ID: d.Webhook})
				pending, ahead = append(pending, d), append(ahead, e.clocks[event.partition].ahead)
				scores = append(scores, pipe.ZScore(e.ctx, key, string(event.ID[:])))
			}
		}
	})
	if err != nil {
		return err
	}
	for i, score := range scores {
		if score.Err() == nil {
			pending[i].Due = time.UnixMilli(int64(score.Val())).Add(-ahead[i]).UTC()
		}
	}
	return nil
}
