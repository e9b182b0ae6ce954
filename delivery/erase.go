package delivery

import (
	"context"

	"github.com/google/uuid"
)

// EraseEvent removes the payload of an event, its pending deliveries, and the bodies of its requests,
// for good. Its id stays taken until the retention ends.
//
// Errors: ErrNotFound, or those of the store, after which it can be repeated. An entry of the audit
// log, if one is wanted, is written before anything is changed.
func (e *Engine) EraseEvent(ctx context.Context, tenant string, id uuid.UUID, audit ...Audit) error {
	if _, _, err := e.Event(ctx, tenant, id); err != nil {
		return err
	}
	var entries []*AuditEntry
	for _, entry := range audit {
		made := entry(nil, nil)
		made.Tenant, made.ID, made.EventID = tenant, NewID(e.store.Now()), id
		if err := e.store.WriteAuditEntry(ctx, made); err != nil {
			return nothingWritten(err)
		}
		entries = append(entries, made)
	}
	e.tellAudit(entries, nil)
	return e.store.EraseEvent(ctx, tenant, id)
}
