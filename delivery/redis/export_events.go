package redis

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
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
		if err == nil {
			err = e.encryption.DecryptEvent(&read.Event)
		}
		if encryption.IsMissingKey(err) {
			return err
		}
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
	// Redis runs scripts that come together one after the other.
	for first, end := 0, 0; first < len(calls); first = end {
		for targets := 0; end < len(calls) && targets < 5*deliveriesPerScript; end++ {
			targets += len(parts[end].targets)
		}
		e.runAll(e.ctx, calls[first:end]...)
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
			stored, _ = cutWaits(stored)
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
	var pending []*scheduled
	for _, event := range events {
		for i := range event.Deliveries {
			if d := &event.Deliveries[i]; d.Status == delivery.DeliveryPending {
				pending = append(pending, &scheduled{
					StoredDelivery: d, partition: event.partition, event: event.ID, receivedAt: event.ReceivedAt,
					ref: delivery.WebhookRef{Tenant: event.Tenant, ID: d.Webhook},
				})
			}
		}
	}
	// Leases come first: what is leased may be put on the schedule meanwhile, and not the other
	// way round.
	if err := e.leases(pending); err != nil {
		return err
	}
	scores, places := make([]*redis.FloatCmd, len(pending)), make([]*redis.StringCmd, len(pending))
	err := e.pipeline(func(pipe redis.Pipeliner) {
		for i, d := range pending {
			scores[i] = pipe.ZScore(e.ctx, pendingKey(e.parts[d.partition].base, d.ref), string(d.event[:]))
			places[i] = pipe.HGet(e.ctx, orderedKey(e.parts[d.partition].base, d.ref), string(d.event[:]))
		}
	})
	if err != nil {
		return err
	}
	for i, d := range pending {
		at := d.leaseEnd
		if scores[i].Err() == nil {
			at = int64(math.Ceil(scores[i].Val())) // next attempts have half a millisecond
		}
		if at > 0 {
			d.Order, d.OrderPlace = parseOrder(places[i].Val())
		}
		switch {
		case at >= waitsScore:
			d.Due = d.receivedAt
		case at > 0:
			d.Due = time.UnixMilli(at).Add(-e.clocks[d.partition].ahead).UTC()
		}
	}
	return nil
}

// scheduled is a pending delivery, and what it takes to find when it falls due.
type scheduled struct {
	*delivery.StoredDelivery
	partition int
	event     uuid.UUID
	ref       delivery.WebhookRef
	leaseEnd  int64 // if it was born leased

	receivedAt time.Time
}

// leases reads when the leases of deliveries end that were born leased.
func (e *export) leases(pending []*scheduled) error {
	ends := make(map[int]map[string]int64) // by partition and by what a lease calls a delivery
	for _, d := range pending {
		if ends[d.partition] == nil {
			reply, err := e.run(e.ctx, leasesScript, e.parts[d.partition].base)
			if err != nil {
				return err
			}
			ends[d.partition] = readLeases(reply[1:])
		}
		d.leaseEnd = ends[d.partition][string(d.event[:])+refText(d.ref)]
	}
	return nil
}

// readLeases reads the reply of leases.lua.
func readLeases(reply []any) map[string]int64 {
	ends := make(map[string]int64)
	for ; len(reply) >= 2; reply = reply[2:] {
		text, _ := reply[0].(string)
		ended, _ := strconv.ParseInt(text, 10, 64) // 0 if another program wrote it
		names, _ := reply[1].([]any)
		for _, name := range names {
			if name, ok := name.(string); ok {
				ends[name] = ended
			}
		}
	}
	return ends
}
