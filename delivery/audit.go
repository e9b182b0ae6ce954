package delivery

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
)

// Bounds of a tenant's audit log. When it has more, its oldest entries go until nine tenths
// of both are left, so that an admin cannot fill the store, and removing them costs little.
const (
	MaxAudit      = 10_000
	MaxAuditBytes = 8 << 20
)

// Action is what somebody did.
type Action string

// The actions that the audit log knows.
const (
	ActionWebhookCreated Action = "webhook_created"
	ActionWebhookChanged Action = "webhook_changed"
	ActionWebhookDeleted Action = "webhook_deleted"
	ActionWebhookTested  Action = "webhook_tested"
	// ActionWebhookDisabled is the engine's own, and nobody's.
	ActionWebhookDisabled Action = "webhook_disabled"
	ActionRequestRerun    Action = "request_rerun"

	ActionWebhookSecretRotated Action = "webhook_secret_rotated"

	ActionDeliveryCanceled Action = "delivery_canceled"
	ActionDeliverySent     Action = "delivery_sent"
	ActionEventErased      Action = "event_erased"

	ActionReplayStarted  Action = "replay_started"
	ActionReplayCanceled Action = "replay_canceled"
)

// AuditEntry says who did what, and when. It has no secrets.
type AuditEntry struct {
	Tenant string
	ID     uuid.UUID // of version 7; its time is At, by the store's clock
	// By names who did it: a credential, or a person.
	By string
	// Address is that of the client.
	Address   string
	Action    Action
	WebhookID uuid.UUID
	RequestID uuid.UUID // the request that was run again; otherwise uuid.Nil
	EventID   uuid.UUID // that was erased, or to whose delivery something was done; otherwise uuid.Nil
	// Before and After are JSON objects that say what has changed, nil for none.
	Before, After []byte
	// Changed names the members that have changed. It is for Caddy's log, and not stored.
	Changed []string
}

// At is when it was done, to the millisecond, by the store's clock.
func (a *AuditEntry) At() time.Time { return IDTime(a.ID) }

// AuditFilter selects entries of a tenant's audit log. A zero member selects all.
type AuditFilter struct {
	Since time.Time // inclusive
	Until time.Time // exclusive
	// Before is the last entry of the previous page: older ones follow.
	Before uuid.UUID
	// Limit is how many entries a page may have, at least 1; stores give MaxPage at most.
	Limit int
}

// Bounds are the smallest id that an entry of the page can have, inclusive, and the
// largest, exclusive; ok is false if there is none between.
func (f *AuditFilter) Bounds() (first, before uuid.UUID, ok bool) {
	r := RequestFilter{Since: f.Since, Until: f.Until, Before: f.Before}
	return r.Bounds()
}

// AuditPage is one page of the audit log, newest first.
type AuditPage struct {
	Entries []AuditEntry
	// Next is the AuditFilter.Before of the next page; uuid.Nil on the last. A page may
	// have fewer entries than its limit and still have a next one.
	Next uuid.UUID
}

// Audit makes the entry of the audit log for what is about to be done to a webhook. Before
// is nil if the webhook is created, and after if it is deleted; both are the webhook as it
// is if something is sent to it. It may be called more than once, and leaves Tenant, ID and
// WebhookID to its caller.
type Audit func(before, after *Webhook) *AuditEntry

// tellAudit tells the log, under the name audit, of entries that the store has been given with
// a change. Of a change that was refused there is nothing to tell; one that may have been made
// is told as such.
func (e *Engine) tellAudit(entries []*AuditEntry, err error) {
	if isRefusal(err) {
		return
	}
	for _, a := range entries {
		fields := []zap.Field{
			zap.String("at", a.At().Format(time.RFC3339Nano)), zap.String("by", a.By), zap.String("address", a.Address),
			zap.String("action", string(a.Action)), zap.String("tenant", a.Tenant), zap.Stringer("webhook_id", a.WebhookID),
		}
		if a.RequestID != uuid.Nil {
			fields = append(fields, zap.Stringer("request_id", a.RequestID))
		}
		if a.EventID != uuid.Nil {
			fields = append(fields, zap.Stringer("event_id", a.EventID))
		}
		if len(a.Changed) > 0 {
			fields = append(fields, zap.Strings("changed", a.Changed))
		}
		if err != nil {
			fields = append(fields, zap.String("outcome", "unknown"))
		}
		e.log().Named("audit").Info(strings.ReplaceAll(string(a.Action), "_", " "), fields...)
	}
}

// isRefusal reports whether an error of a change promises that nothing was written.
func isRefusal(err error) bool {
	for _, refusal := range []error{ErrNotFound, ErrConflict, ErrTooManyWebhooks, ErrFull, ErrUnavailable} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// auditEntries makes the entries for a change. There is one Audit, or none if nobody wants
// an audit log.
func (e *Engine) auditEntries(audit []Audit, before, after *Webhook) (entries []*AuditEntry) {
	w := after
	if w == nil {
		w = before
	}
	for _, entry := range audit {
		made := entry(before, after)
		made.Tenant, made.ID, made.WebhookID = w.Tenant, NewID(e.store.Now()), w.ID
		entries = append(entries, made)
	}
	return entries
}

// auditSending writes the entry for a request that is about to be sent. Nothing may be sent
// if that fails.
func (e *Engine) auditSending(ctx context.Context, w *Webhook, audit []Audit) error {
	entries := e.auditEntries(audit, w, w)
	for _, entry := range entries {
		if err := e.store.WriteAuditEntry(ctx, entry); err != nil {
			return nothingWritten(err)
		}
	}
	e.tellAudit(entries, nil)
	return nil
}

// AuditEntries reads a page of a tenant's audit log.
func (e *Engine) AuditEntries(ctx context.Context, tenant string, filter AuditFilter) (AuditPage, error) {
	if err := e.ready(ctx); err != nil {
		return AuditPage{}, err
	}
	return e.store.AuditEntries(ctx, tenant, filter)
}
