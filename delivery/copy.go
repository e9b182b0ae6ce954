package delivery

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"
)

// Copyable is a Store whose contents can be copied to another one while nobody else
// uses either.
type Copyable interface {
	Store
	// Exists says whether the store is there already, rather than to be created by
	// Open. The store need not be open.
	Exists(ctx context.Context) (bool, error)
	// Export reads everything in batches: first webhooks, then events, then
	// requests, then audit logs, the oldest entries of each first. It leaves out
	// expired events and what belonged to deleted webhooks. An error ends the sequence.
	// If the store shrinks meanwhile, something may come twice.
	Export(ctx context.Context) iter.Seq2[*Batch, error]
	// Import adds what is missing, skips what is there, even if that has changed
	// since, and returns how many items it added. Each webhook, event with its
	// deliveries, and request is added whole or not at all. Deliveries and requests
	// of webhooks that do not exist are dropped.
	Import(ctx context.Context, batch *Batch) (added int, err error)
}

// Bounds of a Batch; the last item may exceed BatchBytes.
const (
	BatchItems = 500
	BatchBytes = 8 << 20
)

// Batch is a part of what a store holds: items of one kind.
type Batch struct {
	Webhooks []StoredWebhook
	Events   []StoredEvent
	Requests []StoredRequest
	Audits   []AuditEntry

	bytes int // approximate size in memory
}

// StoredWebhook is a webhook, and whether it is among the slow ones.
type StoredWebhook struct {
	Webhook
	Slow bool
}

// StoredEvent is an event with its deliveries. Times are to the millisecond.
type StoredEvent struct {
	Event
	Expires time.Time
	// Nonce of the call that emitted it, and its Place in that call.
	Nonce uuid.UUID
	Place int
	Test  bool
	// Deliveries to the webhooks that exist.
	Deliveries []StoredDelivery
}

// StoredDelivery is where a delivery stands.
type StoredDelivery struct {
	Webhook  uuid.UUID
	Status   DeliveryStatus
	Attempts int
	// RetryAt is when its last failed attempt asked to be retried, zero if none did.
	RetryAt time.Time
	// LastRequest is uuid.Nil before the first.
	LastRequest uuid.UUID
	// Due is when it falls due or its lease ends; zero if it is not on the schedule. For one that
	// waits for others with its Order, it is when its event was received.
	Due time.Time
	// Order is its key while it is pending, and OrderPlace its place among those of the same key:
	// the lowest is the head.
	Order      OrderKey
	OrderPlace uint64
}

// Untouched says whether the delivery is still as it was accepted: no request of it
// has ended.
func (d *StoredDelivery) Untouched() bool {
	return d.Status == DeliveryPending && d.Attempts == 0 && d.RetryAt.IsZero() && d.LastRequest == uuid.Nil
}

// StoredRequest is a row of the log with its response body, but without the request
// body, which is the event's payload.
type StoredRequest struct {
	Request
	// Previous is the request before it of the same delivery, uuid.Nil for the first.
	Previous uuid.UUID
}

// Approximate sizes of items in memory, without their texts.
const (
	itemBytes     = 500
	deliveryBytes = 150
)

// AddWebhook adds a webhook to the batch.
func (b *Batch) AddWebhook(w StoredWebhook) {
	b.Webhooks = append(b.Webhooks, w)
	b.bytes += itemBytes + recordSize(&w.Webhook) + len(w.Filter) + len(w.OrderBy)
}

// AddEvent adds an event to the batch.
func (b *Batch) AddEvent(e StoredEvent) {
	b.Events = append(b.Events, e)
	b.bytes += itemBytes + len(e.Payload) + deliveryBytes*len(e.Deliveries)
}

// AddRequest adds a row of the log to the batch.
func (b *Batch) AddRequest(r StoredRequest) {
	b.Requests = append(b.Requests, r)
	b.bytes += itemBytes + len(r.ResponseBody) + len(r.URL) + len(r.Error)
}

// AddAudit adds an entry of an audit log to the batch.
func (b *Batch) AddAudit(a AuditEntry) {
	b.Audits = append(b.Audits, a)
	b.bytes += itemBytes + len(a.By) + len(a.Address) + len(a.Before) + len(a.After)
}

// Len is how many items the batch has.
func (b *Batch) Len() int {
	return len(b.Webhooks) + len(b.Events) + len(b.Requests) + len(b.Audits)
}

// Full says whether the batch has reached its bounds.
func (b *Batch) Full() bool { return b.Len() >= BatchItems || b.bytes >= BatchBytes }

// Kind names the kind of the items.
func (b *Batch) Kind() string {
	switch {
	case len(b.Webhooks) > 0:
		return "webhooks"
	case len(b.Events) > 0:
		return "events"
	case len(b.Audits) > 0:
		return "audit entries"
	default:
		return "requests"
	}
}

// Copy adds to one store everything that another holds and it does not. It may be
// repeated after an error. After each batch, progress is called with how many items of
// that kind have been read and added so far.
func Copy(ctx context.Context, from, to Copyable, progress func(kind string, read, added int)) error {
	read, added := make(map[string]int), make(map[string]int)
	for batch, err := range from.Export(ctx) {
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		n, err := to.Import(ctx, batch)
		if err != nil {
			return fmt.Errorf("write %s: %w", batch.Kind(), err)
		}
		kind := batch.Kind()
		read[kind] += batch.Len()
		added[kind] += n
		progress(kind, read[kind], added[kind])
	}
	return nil
}

// Counts is how much a store holds.
type Counts struct {
	// Tenants that have a webhook or an event.
	Tenants  int
	Webhooks int
	// Secrets is how many of the webhooks have one.
	Secrets  int
	Events   int
	Pending  int // deliveries on the schedule
	Requests int
	Audits   int // entries of audit logs
}

// CountWebhooks counts webhooks and their secrets alone.
func CountWebhooks(ctx context.Context, store Copyable) (Counts, error) {
	var c counter
	for batch, err := range store.Export(ctx) {
		if err != nil {
			return Counts{}, err
		}
		if len(batch.Webhooks) == 0 {
			break
		}
		c.add(batch)
	}
	return c.counts(), nil
}

// Count reads everything that a store holds and counts it. It counts only events that
// will not have expired at the given time, so that two stores can be compared however
// long counting takes.
func Count(ctx context.Context, store Copyable, at time.Time) (Counts, error) {
	c := counter{at: at}
	for batch, err := range store.Export(ctx) {
		if err != nil {
			return Counts{}, err
		}
		c.add(batch)
	}
	return c.counts(), nil
}

type counter struct {
	at      time.Time
	tenants map[string]bool
	sum     Counts
}

func (c *counter) counts() Counts {
	c.sum.Tenants = len(c.tenants)
	return c.sum
}

func (c *counter) add(b *Batch) {
	if c.tenants == nil {
		c.tenants = make(map[string]bool)
	}
	for i := range b.Webhooks {
		c.tenants[b.Webhooks[i].Tenant] = true
		if b.Webhooks[i].Credentials() != (Credentials{}) {
			c.sum.Secrets++
		}
	}
	c.sum.Webhooks += len(b.Webhooks)
	c.sum.Requests += len(b.Requests)
	c.sum.Audits += len(b.Audits)
	for i := range b.Events {
		e := &b.Events[i]
		if !e.Expires.After(c.at) {
			continue
		}
		c.tenants[e.Tenant] = true
		c.sum.Events++
		for j := range e.Deliveries {
			if !e.Deliveries[j].Due.IsZero() {
				c.sum.Pending++
			}
		}
	}
}
