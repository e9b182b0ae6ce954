package redis

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// foundEvent is an event that the scan found.
type foundEvent struct {
	partition int
	tenant    string
	id        uuid.UUID
	expires   time.Time
	value     string
}

// hashPage is how many events of a hash are read at a time, whose sizes are not known before.
const hashPage = 50

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

// found reads the events of a page of keys.
func (e *export) found(keys []string) error {
	var own []string // the keys of single events
	for _, key := range keys {
		partition, rest, ok := e.keys.parsePartition(key)
		if !ok || partition >= len(e.parts) {
			continue
		}
		switch kind, _, _ := strings.Cut(rest, ":"); kind {
		case "event":
			own = append(own, key)
		case "events":
			if err := e.hash(partition, key); err != nil {
				return err
			}
		}
	}
	return e.single(own)
}

// hash reads the events of a hash.
func (e *export) hash(partition int, key string) error {
	return e.scan(func(cursor uint64) *redis.ScanCmd {
		return e.client().HScan(e.ctx, key, cursor, "", hashPage)
	}, func(fields []string) error {
		events := make([]foundEvent, 0, len(fields)/2)
		for ; len(fields) >= 2; fields = fields[2:] {
			if tenant, id, ok := parseEventField(fields[0]); ok {
				expires, value := cutExpiry(fields[1])
				events = append(events, foundEvent{partition, tenant, id, expires, value})
			}
		}
		return e.take(events)
	})
}

// single reads events that have keys of their own, no more at a time than fit into a batch.
func (e *export) single(keys []string) error {
	sizes, expiries := make([]*redis.IntCmd, len(keys)), make([]*redis.DurationCmd, len(keys))
	err := e.pipeline(func(pipe redis.Pipeliner) {
		for i, key := range keys {
			sizes[i] = pipe.StrLen(e.ctx, key)
			expiries[i] = pipe.PExpireTime(e.ctx, key)
		}
	})
	if err != nil {
		return err
	}
	values := make([]*redis.StringCmd, len(keys))
	for first, end := range groups(sizes) {
		err := e.pipeline(func(pipe redis.Pipeliner) {
			for i := first; i < end; i++ {
				values[i] = pipe.Get(e.ctx, keys[i])
			}
		})
		if err != nil {
			return err
		}
		events := make([]foundEvent, 0, end-first)
		for i := first; i < end; i++ {
			partition, rest, _ := e.keys.parsePartition(keys[i])
			tenant, id, ok := parseEventField(strings.TrimPrefix(rest, "event:"))
			if ok && values[i].Err() == nil && expiries[i].Val() > 0 { // else it has expired
				events = append(events, foundEvent{
					partition, tenant, id, time.UnixMilli(expiries[i].Val().Milliseconds()).UTC(), values[i].Val(),
				})
			}
		}
		if err := e.take(events); err != nil {
			return err
		}
	}
	return nil
}

// take adds events to the batch, except those that have expired or are older than the
// retention.
func (e *export) take(found []foundEvent) error {
	var events []*exportedEvent
	now := e.Now()
	for i := range found {
		f := &found[i]
		read, err := decodeEvent(f.tenant, f.id, f.value)
		if err != nil {
			base := e.parts[f.partition].base
			e.setAside(e.ctx, base, unreadableEvent(base, f.tenant, f.id, f.value, err)...)
			continue
		}
		if !f.expires.After(now) || read.isDropped(e.swept[f.partition]) {
			continue
		}
		head := f.value[receivedSize:eventHeadSize]
		events = append(events, &exportedEvent{read: read, partition: f.partition, StoredEvent: delivery.StoredEvent{
			Event: read.Event, Expires: f.expires,
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
