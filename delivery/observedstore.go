package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// The operations of a Store that can fail, except Close, after which nothing is
// counted any more.
const (
	opOpen          = "open"
	opPing          = "ping"
	opNoteTypes     = "note_event_types"
	opAccept        = "accept"
	opClaim         = "claim"
	opComplete      = "complete"
	opRelease       = "release"
	opWebhook       = "webhook"
	opCreateWebhook = "create_webhook"
	opUpdateWebhook = "update_webhook"
	opDeleteWebhook = "delete_webhook"
	opWriteAudit    = "write_audit"
	opAudit         = "audit"
	opEvent         = "event"
	opEvents        = "events"
	opEraseEvent    = "erase_event"
	opAddDelivery   = "add_delivery"
	opRequest       = "request"
	opRequests      = "requests"
	opResend        = "resend"
	opStanding      = "standing"
	opUntried       = "untried"
	opTake          = "take"
	opTakeStart     = "take_start"
	opFollow        = "follow"
	opPending       = "pending"

	opRequestCounts   = "request_counts"
	opWebhookRequests = "webhook_requests"
	opWebhookPending  = "webhook_pending"
	opWebhookPage     = "webhook_page"
	opWebhookChanges  = "webhook_changes"
	opWebhooksOf      = "webhooks_of"
	opDeclared        = "declared_webhooks"

	opCreateReplay = "create_replay"
	opReplays      = "replays"
	opClaimReplays = "claim_replays"
	opSaveReplay   = "save_replay"
	opCancelReplay = "cancel_replay"

	opCountStored  = "count_stored"
	opMarkReceived = "mark_received"
	opSweep        = "sweep"
)

// StoreOperations lists the operations that Observer.StoreFailed can name.
func StoreOperations() []string {
	return []string{
		opOpen, opPing, opNoteTypes, opAccept, opClaim, opComplete, opRelease, opWebhook, opCreateWebhook,
		opUpdateWebhook, opDeleteWebhook, opWriteAudit, opAudit, opEvent, opEvents, opEraseEvent, opAddDelivery, opRequest,
		opRequests, opResend, opStanding, opUntried, opTake, opTakeStart, opFollow, opPending,
		opRequestCounts, opWebhookRequests, opWebhookPending, opWebhookPage, opWebhookChanges, opWebhooksOf, opDeclared,
		opCreateReplay, opReplays, opClaimReplays, opSaveReplay, opCancelReplay,
		opCountStored, opMarkReceived, opSweep,
	}
}

// observedStore tells an observer which operations of a store fail.
type observedStore struct {
	Store
	observer Observer
}

func (s *observedStore) note(ctx context.Context, operation string, err error) {
	if storeFailed(ctx, err) {
		s.observer.StoreFailed(operation)
	}
}

// storeFailed says whether an error means that the operation failed. An error that is
// an answer, such as ErrNotFound, does not, nor does a caller who stopped waiting.
func storeFailed(ctx context.Context, err error) bool {
	switch {
	case err == nil, errors.Is(err, ErrStale), errors.Is(err, ErrNotFound),
		errors.Is(err, ErrConflict), errors.Is(err, ErrTooManyWebhooks), errors.Is(err, ErrTooManyEventTypes),
		errors.Is(err, ErrDeliveryEnded), errors.Is(err, ErrInFlight), errors.Is(err, ErrUnknownPlace),
		errors.Is(err, ErrReceived), errors.Is(err, ErrReceiving),
		errors.Is(err, ErrReplayRunning), errors.Is(err, ErrReplayLost):
		return false
	default:
		return !errors.Is(ctx.Err(), context.Canceled)
	}
}

func (s *observedStore) Open(ctx context.Context) error {
	err := s.Store.Open(ctx)
	s.note(ctx, opOpen, err)
	return err
}

func (s *observedStore) Ping(ctx context.Context, partition int) error {
	err := s.Store.Ping(ctx, partition)
	s.note(ctx, opPing, err)
	return err
}

func (s *observedStore) NoteEventTypes(ctx context.Context, tenant string, types []string, retention time.Duration) error {
	err := s.Store.NoteEventTypes(ctx, tenant, types, retention)
	s.note(ctx, opNoteTypes, err)
	return err
}

func (s *observedStore) Accept(ctx context.Context, batch AcceptBatch) []Accepted {
	results := s.Store.Accept(ctx, batch)
	for i := range results {
		if storeFailed(ctx, results[i].Err) {
			s.observer.StoreFailed(opAccept) // once for the batch, however many calls it fails
			break
		}
	}
	return results
}

func (s *observedStore) Claim(ctx context.Context, partition int, room Room) (Claimed, error) {
	claimed, err := s.Store.Claim(ctx, partition, room)
	s.note(ctx, opClaim, err)
	return claimed, err
}

func (s *observedStore) Complete(ctx context.Context, outcomes []Outcome) []error {
	errs := s.Store.Complete(ctx, outcomes)
	s.note(ctx, opComplete, firstError(errs)) // once for the batch
	return errs
}

func (s *observedStore) Release(ctx context.Context, leases []Lease) error {
	err := s.Store.Release(ctx, leases)
	s.note(ctx, opRelease, err)
	return err
}

func (s *observedStore) WebhookPage(ctx context.Context, tenant, after string) (WebhookPage, error) {
	page, err := s.Store.WebhookPage(ctx, tenant, after)
	s.note(ctx, opWebhookPage, err)
	return page, err
}

func (s *observedStore) WebhookChanges(ctx context.Context, tenant string, since int64) (WebhookChanges, error) {
	changes, err := s.Store.WebhookChanges(ctx, tenant, since)
	s.note(ctx, opWebhookChanges, err)
	return changes, err
}

func (s *observedStore) WebhooksOf(ctx context.Context, tenant string, ids []uuid.UUID) ([]*Webhook, int64, error) {
	webhooks, version, err := s.Store.WebhooksOf(ctx, tenant, ids)
	s.note(ctx, opWebhooksOf, err)
	return webhooks, version, err
}

func (s *observedStore) Webhook(ctx context.Context, ref WebhookRef) (*Webhook, int64, error) {
	w, version, err := s.Store.Webhook(ctx, ref)
	s.note(ctx, opWebhook, err)
	return w, version, err
}

func (s *observedStore) DeclaredWebhooks(ctx context.Context) ([]WebhookRef, error) {
	all, err := s.Store.DeclaredWebhooks(ctx)
	s.note(ctx, opDeclared, err)
	return all, err
}

func (s *observedStore) CreateWebhook(ctx context.Context, w *Webhook, most int, audit ...*AuditEntry) error {
	err := s.Store.CreateWebhook(ctx, w, most, audit...)
	s.note(ctx, opCreateWebhook, err)
	return err
}

func (s *observedStore) UpdateWebhook(ctx context.Context, w *Webhook, version int64, audit ...*AuditEntry) error {
	err := s.Store.UpdateWebhook(ctx, w, version, audit...)
	s.note(ctx, opUpdateWebhook, err)
	return err
}

func (s *observedStore) DeleteWebhook(ctx context.Context, ref WebhookRef, audit ...*AuditEntry) error {
	err := s.Store.DeleteWebhook(ctx, ref, audit...)
	s.note(ctx, opDeleteWebhook, err)
	return err
}

func (s *observedStore) WriteAuditEntry(ctx context.Context, entry *AuditEntry) error {
	err := s.Store.WriteAuditEntry(ctx, entry)
	s.note(ctx, opWriteAudit, err)
	return err
}

func (s *observedStore) AuditEntries(ctx context.Context, tenant string, filter AuditFilter) (AuditPage, error) {
	page, err := s.Store.AuditEntries(ctx, tenant, filter)
	s.note(ctx, opAudit, err)
	return page, err
}

func (s *observedStore) Event(ctx context.Context, tenant string, id uuid.UUID) (*Event, []Delivery, error) {
	ev, deliveries, err := s.Store.Event(ctx, tenant, id)
	s.note(ctx, opEvent, err)
	return ev, deliveries, err
}

func (s *observedStore) Events(ctx context.Context, tenant string, filter EventFilter) (EventPage, error) {
	page, err := s.Store.Events(ctx, tenant, filter)
	s.note(ctx, opEvents, err)
	return page, err
}

func (s *observedStore) EraseEvent(ctx context.Context, tenant string, id uuid.UUID) error {
	err := s.Store.EraseEvent(ctx, tenant, id)
	s.note(ctx, opEraseEvent, err)
	return err
}

func (s *observedStore) Request(ctx context.Context, tenant string, id uuid.UUID) (*Request, error) {
	r, err := s.Store.Request(ctx, tenant, id)
	s.note(ctx, opRequest, err)
	return r, err
}

func (s *observedStore) Resend(ctx context.Context, tenant string, requestID uuid.UUID) (*Webhook, *Event, error) {
	w, ev, err := s.Store.Resend(ctx, tenant, requestID)
	s.note(ctx, opResend, err)
	return w, ev, err
}

func (s *observedStore) Standing(ctx context.Context, tenant string, rows []Request) ([]Delivery, error) {
	all, err := s.Store.Standing(ctx, tenant, rows)
	s.note(ctx, opStanding, err)
	return all, err
}

func (s *observedStore) Untried(ctx context.Context, ref WebhookRef, after string) (UntriedPage, error) {
	page, err := s.Store.Untried(ctx, ref, after)
	s.note(ctx, opUntried, err)
	return page, err
}

func (s *observedStore) Take(ctx context.Context, ref WebhookRef, event uuid.UUID, lease time.Duration) (Job, error) {
	job, err := s.Store.Take(ctx, ref, event, lease)
	s.note(ctx, opTake, err)
	return job, err
}

func (s *observedStore) TakeStart(ctx context.Context, ref WebhookRef, free bool) (time.Duration, error) {
	in, err := s.Store.TakeStart(ctx, ref, free)
	s.note(ctx, opTakeStart, err)
	return in, err
}

func (s *observedStore) Requests(ctx context.Context, tenant string, filter RequestFilter) (RequestPage, error) {
	page, err := s.Store.Requests(ctx, tenant, filter)
	s.note(ctx, opRequests, err)
	return page, err
}

func (s *observedStore) Follow(ctx context.Context, tenant, after string) (Follower, error) {
	f, err := s.Store.Follow(ctx, tenant, after)
	s.note(ctx, opFollow, err)
	return f, err
}

func (s *observedStore) Pending(ctx context.Context) (int64, error) {
	n, err := s.Store.Pending(ctx)
	s.note(ctx, opPending, err)
	return n, err
}

func (s *observedStore) RequestCounts(ctx context.Context, tenant string, since time.Time) ([]RequestCount, error) {
	counts, err := s.Store.RequestCounts(ctx, tenant, since)
	s.note(ctx, opRequestCounts, err)
	return counts, err
}

func (s *observedStore) WebhookRequests(ctx context.Context, tenant string, webhooks []uuid.UUID, since time.Time) ([]WebhookRequests, error) {
	all, err := s.Store.WebhookRequests(ctx, tenant, webhooks, since)
	s.note(ctx, opWebhookRequests, err)
	return all, err
}

func (s *observedStore) WebhookPending(ctx context.Context, tenant string, webhooks []uuid.UUID) ([]int64, error) {
	counts, err := s.Store.WebhookPending(ctx, tenant, webhooks)
	s.note(ctx, opWebhookPending, err)
	return counts, err
}

func (s *observedStore) CountStored(ctx context.Context, added []StoredBytes, slice, first int64) ([]int64, error) {
	totals, err := s.Store.CountStored(ctx, added, slice, first)
	s.note(ctx, opCountStored, err)
	return totals, err
}

func (s *observedStore) MarkReceived(ctx context.Context, mark *ReceivedMark) error {
	err := s.Store.MarkReceived(ctx, mark)
	s.note(ctx, opMarkReceived, err)
	return err
}

func (s *observedStore) Sweep(ctx context.Context, retention time.Duration) (bool, error) {
	more, err := s.Store.Sweep(ctx, retention)
	s.note(ctx, opSweep, err)
	return more, err
}
