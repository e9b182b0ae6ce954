package delivery

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"
)

// Copyable is a Store whose contents can be carried to another one while nobody
// else uses either.
type Copyable interface {
	Store
	// Exists says whether there is something to open already, which Open would
	// make. It may be asked of a store that is not open.
	Exists(ctx context.Context) (bool, error)
	// Export reads all there is in batches: first webhooks, then events, then
	// requests. What belonged to deleted webhooks is left out, and so are events
	// that have expired. An error is the last that it gives. A store that shrinks
	// meanwhile may give something twice.
	Export(ctx context.Context) iter.Seq2[*Batch, error]
	// Import adds what is not there and passes over what is, however much that
	// has changed since; it says how much was added. Each webhook, event with its
	// deliveries, and request is added whole or not at all. Deliveries and
	// requests of webhooks that are not there are dropped.
	Import(ctx context.Context, batch *Batch) (added int, err error)
}

// Bounds of a Batch; the last item may exceed BatchBytes.
const (
	BatchItems = 500
	BatchBytes = 8 << 20
)

// Batch is some of what a store holds, of one kind.
type Batch struct {
	Webhooks []StoredWebhook
	Events   []StoredEvent
	Requests []StoredRequest

	bytes int // about what it takes in memory
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
	// Nonce of the call that brought it, and its Place in that.
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
	// RetryAt is what its last attempt that failed asked for, zero without one.
	RetryAt time.Time
	// LastRequest is uuid.Nil before the first.
	LastRequest uuid.UUID
	// Due is when it falls due, or its lease ends; zero for one that is not on
	// the schedule.
	Due time.Time
}

// Untouched says whether no request of the delivery has ended.
func (d *StoredDelivery) Untouched() bool {
	return d.Status == DeliveryPending && d.Attempts == 0 && d.RetryAt.IsZero() && d.LastRequest == uuid.Nil
}

// StoredRequest is a row of the log with its response body, but not what was
// sent, which is the event's.
type StoredRequest struct {
	Request
	// Previous is the request before of the same delivery, uuid.Nil for the first.
	Previous uuid.UUID
}

// What an item takes in memory, beside its texts.
const (
	itemBytes     = 500
	deliveryBytes = 150
)

// AddWebhook adds a webhook to the batch, as AddEvent and AddRequest add others.
func (b *Batch) AddWebhook(w StoredWebhook) {
	b.Webhooks = append(b.Webhooks, w)
	b.bytes += itemBytes + len(w.URL) + len(w.Description)
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

// Len is how many items the batch has.
func (b *Batch) Len() int { return len(b.Webhooks) + len(b.Events) + len(b.Requests) }

// Full says whether the batch has as much as it may.
func (b *Batch) Full() bool { return b.Len() >= BatchItems || b.bytes >= BatchBytes }

// Kind names what the batch is of.
func (b *Batch) Kind() string {
	switch {
	case len(b.Webhooks) > 0:
		return "webhooks"
	case len(b.Events) > 0:
		return "events"
	default:
		return "requests"
	}
}

// Copy adds to one store all that another holds and it does not. It may be
// repeated after an error. After each batch, progress is told how much of a kind
// was read and added so far.
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

// Counts say how much a store holds.
type Counts struct {
	// Tenants that have a webhook or an event.
	Tenants  int
	Webhooks int
	// Secrets is how many of the webhooks have one.
	Secrets  int
	Events   int
	Pending  int // deliveries on the schedule
	Requests int
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

// Count reads all that a store holds, and counts it. Of events it counts those
// that have not expired at a given time, so that two stores can be compared,
// however long counting takes.
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
		if b.Webhooks[i].Secret != "" {
			c.sum.Secrets++
		}
	}
	c.sum.Webhooks += len(b.Webhooks)
	c.sum.Requests += len(b.Requests)
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
