package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// Errors of a Store, beside those of its medium. All but ErrFull and
// ErrUnavailable mean that the store did as asked and this is its answer.
var (
	// ErrStale: the tenant's webhooks have changed since the targets were
	// chosen; nothing was written. Choose again.
	ErrStale = errors.New("the tenant's webhooks have changed")
	// ErrNotFound: there is no such webhook, event or request in this tenant.
	ErrNotFound = errors.New("not found")
	// ErrConflict: somebody else changed it since it was read; nothing was written.
	ErrConflict = errors.New("changed meanwhile")
	// ErrTooManyWebhooks: the tenant has as many as it may have.
	ErrTooManyWebhooks = errors.New("the tenant has as many webhooks as it may have")
	// ErrTooManyEventTypes: the tenant's log has MaxEventTypes already, and has no room for
	// another one; nothing was written.
	ErrTooManyEventTypes = errors.New("the log of a tenant can have at most 1000 event types")
	// ErrLostPlace: whoever follows the log may have missed requests.
	ErrLostPlace = errors.New("the place in the log is not known any more")
	// ErrFull: the store has no room; nothing was written.
	ErrFull error = Reason("the store is full")
	// ErrUnavailable: the store was not reached or is not open; nothing was
	// written.
	ErrUnavailable error = Reason("the store is not available")
)

// Store keeps webhooks, events, the schedule of deliveries and the log of
// requests. Each operation is one atomic step (for a batch: each call or outcome
// of it), and safe for concurrent use.
//
// A lease is a due time in the future: whoever dies with one leaves a delivery
// that simply falls due again. The lease's end is its token: Complete and
// Release change the schedule only while the delivery still falls due at exactly
// that time.
//
// Of the pending deliveries of a webhook with the same OrderKey only the first falls due, or has a
// lease. When it ends, whatever ends it, the next one is due at once.
//
// An error that is none of the above leaves the outcome unknown. Accept may be
// repeated with the same nonces, Complete with the same request ids: neither
// does its work twice.
//
// A store has one partition or more, each with the data of some tenants. Partitions fail
// by themselves: the engine gives Accept, Claim, Complete and Release work of one
// partition at a time, of several partitions at the same time.
//
// A record that cannot be read harms no other. The store sets it aside: it takes the
// record out of the way, keeps it for whoever looks into it, and says so in the log.
type Store interface {
	// Open connects, checks that the store is one this version can work with,
	// and returns. It may be called again after an error.
	Open(ctx context.Context) error
	// Close gives back what Open took. The store is not used afterwards.
	Close() error
	// Partitions is how many partitions there are, at least 1. It does not change once
	// the store has been opened, and is not asked before.
	Partitions() int
	// Partition is the partition of a tenant, from 0.
	Partition(tenant string) int
	// Ping says whether a partition would accept events now.
	Ping(ctx context.Context, partition int) error
	// SetAside is how many records this process has set aside, since the store was made.
	SetAside() int64
	// Now is the store's clock, as well as this process knows it, by which request
	// ids, and all times that it is given and gives, are meant. It costs no round
	// trip. When somebody sets that clock back, what is on the schedule still falls
	// due, and leases still end, after as long as they would have.
	Now() time.Time

	// NoteEventTypes notes types of events that are about to be accepted, all of them or
	// none: ErrTooManyEventTypes if the tenant would have more than MaxEventTypes. A type
	// counts until it was not noted for as long as the retention. One that the log has all
	// the same, as from an earlier version, is no new one.
	NoteEventTypes(ctx context.Context, tenant string, types []string, retention time.Duration) error
	// Accept stores the events of each call and schedules their deliveries. The
	// results are in the order of the calls; each call is all or nothing.
	Accept(ctx context.Context, batch AcceptBatch) []Accepted
	// Claim leases due deliveries of a partition, the longest due first, in turn
	// between webhooks, as many as there is room for and, if the webhook has a RateLimit, starts.
	Claim(ctx context.Context, partition int, room Room) (Claimed, error)
	// Complete writes one row of the log per outcome and ends or reschedules its
	// delivery. Outcomes of webhooks that are gone are dropped. The errors are in the
	// order of the outcomes; none at all means that there are none. The slice of outcomes
	// is the engine's, and has others after that.
	Complete(ctx context.Context, outcomes []Outcome) []error
	// Take leases one pending delivery of an enabled or disabled webhook, whenever it is due, and
	// gives it without its payload. ErrInFlight if it has a lease; ErrDeliveryEnded if it is not
	// pending. One that is not the head of its OrderKey waits again when the lease ends or is
	// released.
	Take(ctx context.Context, ref WebhookRef, event uuid.UUID, lease time.Duration) (Job, error)
	// Release hands back deliveries whose send did not start or did not end:
	// they are due at once, their attempts unchanged.
	Release(ctx context.Context, leases []Lease) error
	// TakeStart takes the next start of a webhook with a RateLimit for a request that is not on the
	// schedule, and says in how long that is, from the answer; 0 if the webhook has no RateLimit.
	// With free, it takes one only if it has come and nobody has taken it: 0, or nothing is taken.
	TakeStart(ctx context.Context, ref WebhookRef, free bool) (time.Duration, error)

	// WebhookPage reads some of a tenant's webhooks, in an order of the store's own: the
	// first ones if after is empty, else those behind an earlier page, whose Next it is. A
	// webhook that exists all the while is in one of the pages, or in more. What it and the next
	// two return may be what the store itself has in memory: nobody changes it.
	WebhookPage(ctx context.Context, tenant, after string) (WebhookPage, error)
	// WebhookChanges reads which of a tenant's webhooks have changed since a version.
	WebhookChanges(ctx context.Context, tenant string, since int64) (WebhookChanges, error)
	// WebhooksOf reads those of some webhooks that exist, in the order of the ids, and the
	// version of their tenant's set. It is asked for MaxWebhookPage of them at most.
	WebhooksOf(ctx context.Context, tenant string, ids []uuid.UUID) (webhooks []*Webhook, version int64, err error)
	// Webhook reads one webhook and the version of its tenant's set, which each change raises.
	Webhook(ctx context.Context, ref WebhookRef) (w *Webhook, version int64, err error)
	// DeclaredWebhooks names the webhooks of all tenants that the configuration made.
	DeclaredWebhooks(ctx context.Context) ([]WebhookRef, error)
	// CreateWebhook adds a webhook; ErrTooManyWebhooks if the tenant has the most that it
	// may have. This and the next two write entries of the audit log in the same
	// step as the change, and none if they return an error that is an answer.
	CreateWebhook(ctx context.Context, w *Webhook, most int, audit ...*AuditEntry) error
	// UpdateWebhook writes a changed webhook, and pauses or resumes its pending
	// deliveries; ErrConflict if the tenant's version is no longer the one given.
	UpdateWebhook(ctx context.Context, w *Webhook, version int64, audit ...*AuditEntry) error
	// DeleteWebhook removes a webhook and hides all that belonged to it at once;
	// Sweep removes that in small steps.
	DeleteWebhook(ctx context.Context, ref WebhookRef, audit ...*AuditEntry) error

	// WriteAuditEntry writes an entry of the audit log, unless there is one with its id.
	// A tenant's log has no more than MaxAudit and MaxAuditBytes allow.
	WriteAuditEntry(ctx context.Context, entry *AuditEntry) error
	// AuditEntries reads a page of a tenant's audit log.
	AuditEntries(ctx context.Context, tenant string, filter AuditFilter) (AuditPage, error)

	// Event reads an event and its deliveries, in the order of their webhooks'
	// ids, without those of deleted webhooks and, if it was erased, those that have not ended.
	Event(ctx context.Context, tenant string, id uuid.UUID) (*Event, []Delivery, error)
	// Events reads a page of a tenant's events in the order in which they came, those without
	// deliveries included. It looks at a bounded number of them. ErrUnknownPlace if it never gave
	// the place that the page is to begin behind. Of events that an earlier version accepted, or
	// whose place in the order is lost, it may know nothing.
	Events(ctx context.Context, tenant string, filter EventFilter) (EventPage, error)
	// EraseEvent removes the payload of an event, its pending deliveries, and the bodies of its
	// requests: those that were attempted have failed, and the others are gone. Requests that are
	// in flight have no bodies either when they end. Resend finds no event then, but its id stays
	// taken. ErrNotFound if there is no such event; one that was erased is erased again. After an
	// error, the payload may be gone and bodies may be left.
	EraseEvent(ctx context.Context, tenant string, id uuid.UUID) error
	// AddDelivery adds a delivery of a webhook to an event that has none to it, and gives the event.
	// The delivery has failed, without an attempt: it is not on the schedule, and whoever adds it
	// sends it. If there is one already, added is false, and nothing changes. Lists of events say as
	// before how many deliveries the event was accepted with. ErrNotFound if there is no such webhook
	// or event, or if the event was erased or is a test; ErrTooManyDeliveries if it has MaxDeliveries.
	AddDelivery(ctx context.Context, ref WebhookRef, event uuid.UUID) (e *Event, added bool, err error)
	// Request reads one row of the log, bodies included.
	Request(ctx context.Context, tenant string, id uuid.UUID) (*Request, error)
	// Resend reads what it takes to send a request again, in one step: its webhook as it is now,
	// and the event that it sent, nil if that is no longer kept.
	Resend(ctx context.Context, tenant string, requestID uuid.UUID) (*Webhook, *Event, error)
	// Requests reads a page of the log.
	Requests(ctx context.Context, tenant string, filter RequestFilter) (RequestPage, error)
	// Standing says how the deliveries stand whose last requests are among some rows of the
	// log, in the order of the rows: a delivery without a status for a row that is not the last
	// one. It is asked for MaxPage of them at most.
	Standing(ctx context.Context, tenant string, rows []Request) ([]Delivery, error)
	// Untried reads some of the pending deliveries of a webhook that have not been attempted,
	// in an order of the store's own: the first ones if after is empty, else those behind a
	// place of an earlier page. It looks at a bounded number of pending ones. A delivery that
	// waits all the while is in one of the pages, or in more.
	Untried(ctx context.Context, ref WebhookRef, after string) (UntriedPage, error)
	// Follow follows a tenant's log: behind a position, or from now on if that is
	// empty. A position that is not known any more, or never was, is no error: the
	// follower says so.
	Follow(ctx context.Context, tenant, after string) (Follower, error)
	// Pending counts the pending deliveries of all tenants, those of disabled
	// webhooks and those being sent included. It is for a gauge: what changes
	// meanwhile may be counted or not, and so may what its event's retention has
	// outlived but nobody has come upon yet.
	Pending(ctx context.Context) (int64, error)

	// RequestCounts counts the requests of a tenant that began in the slice of since
	// or later, those of webhooks that were deleted meanwhile included. Requests are
	// counted as their rows are written, by Complete or by Import, and once only. Those
	// that have all in common may come in parts. What is older than StatsKept may be left
	// out.
	RequestCounts(ctx context.Context, tenant string, since time.Time) ([]RequestCount, error)
	// WebhookRequests counts those of some webhooks of the tenant by the hour, and says
	// when the newest request began that each has in the log; it answers in the order of
	// the webhooks. What is older than HoursKept may be left out, and so may a webhook
	// that was deleted.
	WebhookRequests(ctx context.Context, tenant string, webhooks []uuid.UUID, since time.Time) ([]WebhookRequests, error)
	// WebhookPending counts the pending deliveries of some webhooks of the tenant, in
	// their order, as Pending does.
	WebhookPending(ctx context.Context, tenant string, webhooks []uuid.UUID) ([]int64, error)

	// CountStored adds to what some tenants of one partition have stored in a slice of time,
	// and returns in their order what they have stored in all slices from first on. It forgets
	// earlier ones, some time after the tenant has stored anything at the latest. Slices are
	// hours since 1970. What is not counted here counts nothing, whatever the store has.
	CountStored(ctx context.Context, added []StoredBytes, slice, first int64) ([]int64, error)

	// MarkReceived marks a message that others have sent as being received, received or not
	// received: ReceivedMark says how. Marks last for a time, and belong to no tenant. A copy of
	// the store does not have them.
	MarkReceived(ctx context.Context, mark *ReceivedMark) error

	replayStore

	// Sweep does one small step of housekeeping: it drops what is older than the
	// retention and what belonged to deleted webhooks. More is true when there
	// is another step to do.
	Sweep(ctx context.Context, retention time.Duration) (more bool, err error)
}

// MaxWebhookPage is how many webhooks are read in one step. They may be large, and nobody else
// is served meanwhile.
const MaxWebhookPage = 50

// WebhookPage is some of a tenant's webhooks.
type WebhookPage struct {
	Webhooks []*Webhook
	// Version of the tenant's set when the page was read. Pages of one version together are
	// the set of that version. Of different versions, they lack what WebhookChanges has since
	// the first one.
	Version int64
	// Next is where the next page begins, empty if this is the last one.
	Next string
}

// UntriedPage is some of a webhook's deliveries that have not been attempted.
type UntriedPage struct {
	Deliveries []Untried
	// Next is the place behind which the next page begins, empty if this is the last one.
	Next string
}

// Untried is a pending delivery that has not been attempted.
type Untried struct {
	EventID    uuid.UUID
	EventType  string
	ReceivedAt time.Time
	// Place is that of the delivery among its webhook's.
	Place string
	// Waits says that it is not the head of its order key.
	Waits bool
}

// WebhookChanges is how a tenant's webhooks differ from those of an earlier version.
type WebhookChanges struct {
	// Known is false if the store cannot tell, because too much has changed since, or because
	// it never had the earlier version, or has lost it: then only Version has a meaning, and
	// all webhooks must be read again.
	Known bool
	// Version of the set now. If it is the earlier one, nothing has changed.
	Version int64
	// Webhooks were created or changed since, and are as they are now. Some may be as before.
	Webhooks []*Webhook
	// Deleted do not exist now.
	Deleted []uuid.UUID
}

// AcceptBatch is what one Accept stores.
type AcceptBatch struct {
	Calls []AcceptCall
	// Lease is how long a delivery that is born leased may be held.
	Lease time.Duration
	// Retention is how long events and requests are kept.
	Retention time.Duration
}

// AcceptCall is the events of one emit, all of one tenant.
type AcceptCall struct {
	Tenant string
	// Version of the tenant's webhooks from which the targets were chosen.
	Version int64
	// Nonce tells a repeated call from a second event with the same id.
	Nonce  uuid.UUID
	Events []AcceptEvent
}

// AcceptEvent is one event of a call.
type AcceptEvent struct {
	ID uuid.UUID
	// New says that no stored event can have this ID: it was made for this event, and no
	// earlier try of the call can have stored it. So a store need not look for one.
	New bool
	// Test marks an event that is stored with its one delivery but not
	// scheduled: whoever accepts it sends it.
	Test       bool
	Type       string
	OccurredAt time.Time
	Payload    []byte
	// Targets are the webhooks that the event goes to.
	Targets []Target
}

// Target is one webhook that an event goes to.
type Target struct {
	Webhook uuid.UUID
	// Lease asks that the delivery be born leased: a sending slot waits for it.
	Lease bool
	// Order is not zero if the delivery is to go after others. Then no lease is asked for.
	Order OrderKey
}

// Accepted is the result of one call.
type Accepted struct {
	// Err is nil if every event of the call is now stored.
	Err    error
	Events []AcceptedEvent
	// At is when, by the store's clock: the events' ReceivedAt.
	At time.Time
	// LeaseEnd is the token of every lease that was given.
	LeaseEnd int64
	// Unleased are webhooks of the targets for which no lease was given though
	// it was asked for, because they are slow or have a RateLimit: their deliveries wait
	// in the store.
	Unleased []uuid.UUID
}

// AcceptedEvent is the result of one event.
type AcceptedEvent struct {
	// Duplicate: the id was known, nothing was written, and nothing leased.
	Duplicate bool
	// Deliveries is how many deliveries the event has; 0 for a duplicate.
	Deliveries int
	// Repeated: an earlier try of the same call had stored the event already.
	// It is no duplicate to its emitter, but nothing was leased now.
	Repeated bool
}

// Room is what there is room to send.
type Room struct {
	// Fast and Slow are the free slots for webhooks that answer and for those
	// that answer slowly or not at all.
	Fast, Slow int
	// PerWebhook is the most for a fast webhook that is not in Webhooks. A slow
	// one gets 1.
	PerWebhook int
	// Webhooks is the room for webhooks that have requests in flight here,
	// 0 to pass over one.
	Webhooks map[WebhookRef]int
	// Lease is how long a claimed delivery may be held.
	Lease time.Duration
}

// For is how many deliveries of a webhook there is room for, beside what there is for
// all.
func (r *Room) For(ref WebhookRef, slow bool) int {
	n, ok := r.Webhooks[ref]
	if !ok {
		n = r.PerWebhook
	}
	if slow {
		n = min(n, 1)
	}
	return n
}

// Claimed is the result of one Claim.
type Claimed struct {
	Jobs []Job
	// Next is how long from the answer until it is worth claiming again with the
	// same room: 0 if more is due now; at most ClaimEvery.
	Next time.Duration
	// Due is how long from the answer until anything falls due, with room or without: 0
	// if something is due; at most ClaimEvery.
	Due time.Duration
	// Oldest is for how long a fast webhook has been waiting that was left out although
	// it has room; 0 if there is none.
	Oldest time.Duration
}

// Job is a leased delivery with all that its send needs: nothing of it is read
// again.
type Job struct {
	Webhook *Webhook
	Event   *Event
	// Attempt is the number of the attempt to make, from 1.
	Attempt int
	// LeaseEnd is the token of the lease.
	LeaseEnd int64
	// Slow says that the store had the webhook among the slow ones.
	Slow bool
	// Due is when it fell due, by the store's clock: for one that somebody held
	// before and did not complete, the end of that lease. It is zero for one that
	// was born leased.
	Due time.Time
	// StartIn is how long from the answer until its request may begin, if the webhook has a
	// RateLimit.
	StartIn time.Duration
	// Ordered says that deliveries of the webhook have order keys, or had: when this one ends, the
	// next may be due.
	Ordered bool
	// Waits says, of one that was taken, that it is not the head of its key.
	Waits bool
}

func (j *Job) lease() Lease { return Lease{j.Webhook.Ref(), j.Event.ID, j.LeaseEnd} }

// trigger is that of the attempt.
func (j *Job) trigger() Trigger {
	if j.Attempt > 1 {
		return TriggerRetry
	}
	return TriggerEvent
}

// Lease names a held delivery.
type Lease struct {
	Webhook  WebhookRef
	EventID  uuid.UUID
	LeaseEnd int64
}

// Outcome is a request that ended, and what it means for its delivery.
type Outcome struct {
	Request Request
	// ReceivedAt is the event's.
	ReceivedAt time.Time
	// LeaseEnd is the token of the lease under which it was sent; 0 for a re-run
	// or a test.
	LeaseEnd int64
	// RetryAt is when a failed attempt is tried again, by the store's clock as Now
	// gave it a moment ago; zero after success, after the last attempt, and for a
	// re-run or a test.
	RetryAt time.Time
	// Slow says that the webhook did not answer in time: its deliveries wait
	// apart from the others until a request succeeds.
	Slow bool
	// Ordered is the job's, or says that the webhook has an OrderBy.
	Ordered bool
}
