package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/backoff"
)

// How long StartReplay waits until the deliveries have been counted, and how often it looks.
const (
	countPatience = 5 * time.Second
	minCountLook  = 10 * time.Millisecond
	maxCountLook  = 250 * time.Millisecond
)

// CountReplay counts the deliveries that a replay would deal with.
func (e *Engine) CountReplay(ctx context.Context, tenant string, f ReplayFilter) (total int64, err error) {
	if err := e.ready(ctx); err != nil {
		return 0, err
	}
	r := &Replay{Tenant: tenant, ID: NewID(e.store.Now()), Filter: f}
	for !r.Counted {
		if err := e.countSome(ctx, r); err != nil {
			return 0, err
		}
	}
	return r.Total, nil
}

// StartReplay has deliveries sent again, by whichever process there is. It waits some seconds until
// they have been counted: if that takes longer, Total is how many were counted by then.
//
// Errors: ErrReplayRunning, those of the store, or the context's. An entry of the audit log, if one
// is wanted, is written before the replay begins.
func (e *Engine) StartReplay(ctx context.Context, tenant string, f ReplayFilter, audit ...Audit) (*Replay, error) {
	all, err := e.Replays(ctx, tenant)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].State == ReplayRunning {
			return nil, ErrReplayRunning
		}
	}
	r := &Replay{Tenant: tenant, ID: NewID(e.store.Now()), Filter: f, State: ReplayRunning}
	if err := e.auditReplay(ctx, tenant, f.WebhookID, audit); err != nil {
		return nil, err
	}
	if err := e.store.CreateReplay(ctx, r, e.settings().Retention); err != nil {
		return nil, err
	}
	p := e.at(tenant)
	select {
	case p.replays <- struct{}{}:
	default:
	}
	patience, cancel := context.WithTimeout(ctx, countPatience)
	defer cancel()
	again := backoff.Backoff{First: minCountLook, Most: maxCountLook}
	for again.Wait(patience) == nil {
		// What cannot be read now is as it was: the replay has begun.
		if now, err := e.Replay(patience, tenant, r.ID); err == nil {
			if r = now; r.Counted || r.State != ReplayRunning {
				break
			}
		}
	}
	return r, ctx.Err()
}

// Replays reads a tenant's replays, newest first.
func (e *Engine) Replays(ctx context.Context, tenant string) ([]Replay, error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	return e.store.Replays(ctx, tenant)
}

// Replay reads one replay; ErrNotFound if there is none.
func (e *Engine) Replay(ctx context.Context, tenant string, id uuid.UUID) (*Replay, error) {
	all, err := e.Replays(ctx, tenant)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].ID == id {
			return &all[i], nil
		}
	}
	return nil, ErrNotFound
}

// CancelReplay has nothing more begin of a replay, if it is running: at once if this process holds
// it, and within a second or so if another does. ErrNotFound if there is none. The audit log is as
// for StartReplay.
func (e *Engine) CancelReplay(ctx context.Context, tenant string, id uuid.UUID, audit ...Audit) error {
	r, err := e.Replay(ctx, tenant, id)
	if err != nil || r.State != ReplayRunning {
		return err
	}
	if err := e.auditReplay(ctx, tenant, r.Filter.WebhookID, audit); err != nil {
		return err
	}
	if err := e.store.CancelReplay(ctx, tenant, id); err != nil {
		return err
	}
	e.at(tenant).replayers.cancel(id)
	return nil
}

// auditReplay writes the entry for what is about to be done to a replay. Nothing may be done if that
// fails.
func (e *Engine) auditReplay(ctx context.Context, tenant string, webhook uuid.UUID, audit []Audit) error {
	for _, entry := range audit {
		made := entry(nil, nil)
		made.Tenant, made.ID, made.WebhookID = tenant, NewID(e.store.Now()), webhook
		if err := e.store.WriteAuditEntry(ctx, made); err != nil {
			return nothingWritten(err)
		}
		e.tellAudit([]*AuditEntry{made}, nil)
	}
	return nil
}

// countSome goes on with counting the deliveries of a replay, by one step.
func (e *Engine) countSome(ctx context.Context, r *Replay) error {
	found, next, err := e.searchReplay(ctx, r)
	if err != nil {
		return err
	}
	r.Total += int64(len(found))
	if r.Place = next; next == "" {
		r.Counted = true
	}
	return nil
}

// searchReplay looks from a replay's Place on for deliveries that it deals with, by one step, and
// says where the next one goes on, "" at the end. The log has the requests in their order, and of
// each delivery the last one that began before the replay tells of it: what the replay sends comes
// after that, and is not found again.
func (e *Engine) searchReplay(ctx context.Context, r *Replay) (found []ReplayedDelivery, next string, err error) {
	if r.Filter.Status == ReplayMissed {
		return e.searchMissed(ctx, r)
	}
	err = e.inStep(ctx, r.Tenant, func() (err error) {
		found, next, err = e.searchLog(ctx, r)
		return err
	})
	return found, next, err
}

func (e *Engine) searchLog(ctx context.Context, r *Replay) (found []ReplayedDelivery, next string, err error) {
	f := &r.Filter
	rows := RequestFilter{WebhookID: f.WebhookID, EventType: f.EventType, Since: f.Since, Until: r.CreatedAt(), Limit: MaxPage}
	if !f.Until.IsZero() && f.Until.Before(rows.Until) {
		rows.Until = f.Until
	}
	if f.Status == ReplayFailed { // a success ends a delivery
		rows.Status = RequestFailed
	}
	if r.Place != "" {
		if rows.Before, err = uuid.FromBytes([]byte(r.Place)); err != nil {
			return nil, "", fmt.Errorf("the place of the replay: %w", err)
		}
	}
	page, err := e.store.Requests(ctx, r.Tenant, rows)
	if err != nil {
		return nil, "", err
	}
	standing, err := e.store.Standing(ctx, r.Tenant, page.Requests)
	if err != nil {
		return nil, "", err
	}
	for i := range standing {
		if row := &page.Requests[i]; f.selects(standing[i].Status) {
			found = append(found, ReplayedDelivery{WebhookID: row.WebhookID, EventID: row.EventID, Last: row.ID})
		}
	}
	if page.Next != uuid.Nil {
		next = string(page.Next[:])
	}
	return found, next, nil
}

// selects says whether a delivery is one to send again, by its status: "" for a request that is not
// the last one of its delivery.
func (f *ReplayFilter) selects(status DeliveryStatus) bool {
	switch f.Status {
	case ReplayFailed:
		return status == DeliveryFailed
	case ReplaySuccess:
		return status == DeliverySuccess
	default:
		return status != ""
	}
}
