package flaky

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Accept fails every call of a batch.
func (s *Store) Accept(ctx context.Context, batch delivery.AcceptBatch) []delivery.Accepted {
	err := s.enter("Accept")
	if err == nil {
		return s.Store.Accept(ctx, batch)
	}
	results := make([]delivery.Accepted, len(batch.Calls))
	for i := range results {
		results[i].Err = err
	}
	return results
}

func (s *Store) NoteEventTypes(ctx context.Context, tenant string, types []string, retention time.Duration) error {
	if err := s.enter("NoteEventTypes"); err != nil {
		return err
	}
	return s.Store.NoteEventTypes(ctx, tenant, types, retention)
}

func (s *Store) Open(ctx context.Context) error {
	if err := s.enter("Open"); err != nil {
		return err
	}
	return s.Store.Open(ctx)
}

func (s *Store) Close() error {
	if err := s.enter("Close"); err != nil {
		return err
	}
	return s.Store.Close()
}

func (s *Store) Ping(ctx context.Context, partition int) error {
	if err := s.enter("Ping"); err != nil {
		return err
	}
	return s.Store.Ping(ctx, partition)
}

func (s *Store) Claim(ctx context.Context, partition int, room delivery.Room) (claimed delivery.Claimed, err error) {
	if err = s.enter("Claim"); err != nil {
		return claimed, err
	}
	return s.Store.Claim(ctx, partition, room)
}

// Complete fails every outcome of a batch.
func (s *Store) Complete(ctx context.Context, outcomes []delivery.Outcome) []error {
	if err := s.enter("Complete"); err != nil {
		return slices.Repeat([]error{err}, len(outcomes))
	}
	return s.Store.Complete(ctx, outcomes)
}

func (s *Store) Release(ctx context.Context, leases []delivery.Lease) error {
	if err := s.enter("Release"); err != nil {
		return err
	}
	return s.Store.Release(ctx, leases)
}

func (s *Store) WebhookPage(ctx context.Context, tenant, after string) (page delivery.WebhookPage, err error) {
	if err = s.enter("WebhookPage"); err != nil {
		return page, err
	}
	return s.Store.WebhookPage(ctx, tenant, after)
}

func (s *Store) WebhookChanges(ctx context.Context, tenant string, since int64) (changes delivery.WebhookChanges, err error) {
	if err = s.enter("WebhookChanges"); err != nil {
		return changes, err
	}
	return s.Store.WebhookChanges(ctx, tenant, since)
}

func (s *Store) WebhooksOf(ctx context.Context, tenant string, ids []uuid.UUID) (all []*delivery.Webhook, version int64, err error) {
	if err = s.enter("WebhooksOf"); err != nil {
		return all, version, err
	}
	return s.Store.WebhooksOf(ctx, tenant, ids)
}

func (s *Store) Webhook(ctx context.Context, ref delivery.WebhookRef) (w *delivery.Webhook, version int64, err error) {
	if err = s.enter("Webhook"); err != nil {
		return w, version, err
	}
	return s.Store.Webhook(ctx, ref)
}

func (s *Store) DeclaredWebhooks(ctx context.Context) ([]delivery.WebhookRef, error) {
	if err := s.enter("DeclaredWebhooks"); err != nil {
		return nil, err
	}
	return s.Store.DeclaredWebhooks(ctx)
}

func (s *Store) CreateWebhook(ctx context.Context, w *delivery.Webhook, most int, audit ...*delivery.AuditEntry) error {
	if err := s.enter("CreateWebhook"); err != nil {
		return err
	}
	return s.Store.CreateWebhook(ctx, w, most, audit...)
}

func (s *Store) UpdateWebhook(ctx context.Context, w *delivery.Webhook, version int64, audit ...*delivery.AuditEntry) error {
	if err := s.enter("UpdateWebhook"); err != nil {
		return err
	}
	return s.Store.UpdateWebhook(ctx, w, version, audit...)
}

func (s *Store) DeleteWebhook(ctx context.Context, ref delivery.WebhookRef, audit ...*delivery.AuditEntry) error {
	if err := s.enter("DeleteWebhook"); err != nil {
		return err
	}
	return s.Store.DeleteWebhook(ctx, ref, audit...)
}

func (s *Store) WriteAuditEntry(ctx context.Context, entry *delivery.AuditEntry) error {
	if err := s.enter("WriteAuditEntry"); err != nil {
		return err
	}
	return s.Store.WriteAuditEntry(ctx, entry)
}

func (s *Store) AuditEntries(ctx context.Context, tenant string, f delivery.AuditFilter) (page delivery.AuditPage, err error) {
	if err = s.enter("AuditEntries"); err != nil {
		return page, err
	}
	return s.Store.AuditEntries(ctx, tenant, f)
}

func (s *Store) Event(ctx context.Context, tenant string, id uuid.UUID) (e *delivery.Event, all []delivery.Delivery, err error) {
	if err = s.enter("Event"); err != nil {
		return e, all, err
	}
	return s.Store.Event(ctx, tenant, id)
}

func (s *Store) Events(ctx context.Context, tenant string, f delivery.EventFilter) (page delivery.EventPage, err error) {
	if err = s.enter("Events"); err != nil {
		return page, err
	}
	return s.Store.Events(ctx, tenant, f)
}

func (s *Store) EraseEvent(ctx context.Context, tenant string, id uuid.UUID) error {
	if err := s.enter("EraseEvent"); err != nil {
		return err
	}
	return s.Store.EraseEvent(ctx, tenant, id)
}

func (s *Store) AddDelivery(ctx context.Context, ref delivery.WebhookRef, id uuid.UUID) (ev *delivery.Event, added bool, err error) {
	if err = s.enter("AddDelivery"); err != nil {
		return ev, added, err
	}
	return s.Store.AddDelivery(ctx, ref, id)
}

func (s *Store) Resend(ctx context.Context, tenant string, id uuid.UUID) (w *delivery.Webhook, ev *delivery.Event, err error) {
	if err = s.enter("Resend"); err != nil {
		return w, ev, err
	}
	return s.Store.Resend(ctx, tenant, id)
}

func (s *Store) Standing(ctx context.Context, tenant string, rows []delivery.Request) (all []delivery.Delivery, err error) {
	if err = s.enter("Standing"); err != nil {
		return all, err
	}
	return s.Store.Standing(ctx, tenant, rows)
}

func (s *Store) Untried(ctx context.Context, ref delivery.WebhookRef, after string) (page delivery.UntriedPage, err error) {
	if err = s.enter("Untried"); err != nil {
		return page, err
	}
	return s.Store.Untried(ctx, ref, after)
}

func (s *Store) Take(ctx context.Context, ref delivery.WebhookRef, event uuid.UUID, lease time.Duration) (job delivery.Job, err error) {
	if err = s.enter("Take"); err != nil {
		return job, err
	}
	return s.Store.Take(ctx, ref, event, lease)
}

func (s *Store) TakeStart(ctx context.Context, ref delivery.WebhookRef, free bool) (in time.Duration, err error) {
	if err = s.enter("TakeStart"); err != nil {
		return in, err
	}
	return s.Store.TakeStart(ctx, ref, free)
}

func (s *Store) Request(ctx context.Context, tenant string, id uuid.UUID) (r *delivery.Request, err error) {
	if err = s.enter("Request"); err != nil {
		return r, err
	}
	return s.Store.Request(ctx, tenant, id)
}

func (s *Store) Requests(ctx context.Context, tenant string, f delivery.RequestFilter) (page delivery.RequestPage, err error) {
	if err = s.enter("Requests"); err != nil {
		return page, err
	}
	return s.Store.Requests(ctx, tenant, f)
}

func (s *Store) Follow(ctx context.Context, tenant, after string) (f delivery.Follower, err error) {
	if err = s.enter("Follow"); err != nil {
		return f, err
	}
	return s.Store.Follow(ctx, tenant, after)
}

func (s *Store) Pending(ctx context.Context) (n int64, err error) {
	if err = s.enter("Pending"); err != nil {
		return n, err
	}
	return s.Store.Pending(ctx)
}

func (s *Store) RequestCounts(ctx context.Context, tenant string, since time.Time) (all []delivery.RequestCount, err error) {
	if err = s.enter("RequestCounts"); err != nil {
		return all, err
	}
	return s.Store.RequestCounts(ctx, tenant, since)
}

func (s *Store) WebhookRequests(ctx context.Context, tenant string, ids []uuid.UUID, since time.Time) (all []delivery.WebhookRequests, err error) {
	if err = s.enter("WebhookRequests"); err != nil {
		return all, err
	}
	return s.Store.WebhookRequests(ctx, tenant, ids, since)
}

func (s *Store) WebhookPending(ctx context.Context, tenant string, ids []uuid.UUID) (all []int64, err error) {
	if err = s.enter("WebhookPending"); err != nil {
		return all, err
	}
	return s.Store.WebhookPending(ctx, tenant, ids)
}

func (s *Store) CountStored(ctx context.Context, added []delivery.StoredBytes, slice, first int64) ([]int64, error) {
	if err := s.enter("CountStored"); err != nil {
		return nil, err
	}
	return s.Store.CountStored(ctx, added, slice, first)
}

// MarkReceived implements delivery.Store.
func (s *Store) MarkReceived(ctx context.Context, mark *delivery.ReceivedMark) error {
	if err := s.enter("MarkReceived"); err != nil {
		return err
	}
	return s.Store.MarkReceived(ctx, mark)
}

func (s *Store) CreateReplay(ctx context.Context, r *delivery.Replay, retention time.Duration) error {
	if err := s.enter("CreateReplay"); err != nil {
		return err
	}
	return s.Store.CreateReplay(ctx, r, retention)
}

func (s *Store) Replays(ctx context.Context, tenant string) ([]delivery.Replay, error) {
	if err := s.enter("Replays"); err != nil {
		return nil, err
	}
	return s.Store.Replays(ctx, tenant)
}

func (s *Store) ClaimReplays(ctx context.Context, partition int, holder uuid.UUID, lease time.Duration, most int) ([]delivery.Replay, error) {
	if err := s.enter("ClaimReplays"); err != nil {
		return nil, err
	}
	return s.Store.ClaimReplays(ctx, partition, holder, lease, most)
}

func (s *Store) SaveReplay(ctx context.Context, r *delivery.Replay, holder uuid.UUID, lease, retention time.Duration) (state delivery.ReplayState, err error) {
	if err = s.enter("SaveReplay"); err != nil {
		return state, err
	}
	return s.Store.SaveReplay(ctx, r, holder, lease, retention)
}

func (s *Store) CancelReplay(ctx context.Context, tenant string, id uuid.UUID) error {
	if err := s.enter("CancelReplay"); err != nil {
		return err
	}
	return s.Store.CancelReplay(ctx, tenant, id)
}

func (s *Store) Sweep(ctx context.Context, retention time.Duration) (more bool, err error) {
	if err = s.enter("Sweep"); err != nil {
		return more, err
	}
	return s.Store.Sweep(ctx, retention)
}
