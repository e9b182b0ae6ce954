package redis

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// Event reads an event and its deliveries.
func (s *Store) Event(ctx context.Context, tenant string, id uuid.UUID) (*delivery.Event, []delivery.Delivery, error) {
	p, err := s.at(tenant)
	if err != nil {
		return nil, nil, err
	}
	e, err := s.storedEvent(ctx, p.base, tenant, id)
	if err != nil {
		return nil, nil, err
	}
	if err := s.encryption.DecryptEvent(&e.Event); errors.Is(err, record.ErrUnreadable) {
		return nil, nil, delivery.ErrNotFound
	} else if err != nil {
		return nil, nil, err
	}
	slices.SortFunc(e.targets, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	deliveries := make([]delivery.Delivery, 0, len(e.targets))
	for targets := range slices.Chunk(e.targets, deliveriesPerScript) {
		reply, err := s.run(ctx, eventScript, p.base, e.args(targets)...)
		if err != nil {
			return nil, nil, err
		}
		if len(reply) != 1+len(targets) {
			return nil, nil, errUnknownReply
		}
		for i, webhook := range targets {
			stored, exists := reply[1+i].(string)
			if !exists {
				continue
			}
			stored, waits := cutWaits(stored)
			d, err := record.DecodeDelivery([]byte(stored))
			if err != nil {
				return nil, nil, errUnknownReply // the script leaves out what it cannot read
			}
			if e.Erased && d.Status == record.Pending {
				continue // what is left of one that was not attempted
			}
			d.Waits = waits
			deliveries = append(deliveries, d.Of(&e.Event, e.test, webhook))
		}
	}
	return &e.Event, deliveries, nil
}

// storedEvent reads the record of an event.
func (s *Store) storedEvent(ctx context.Context, base, tenant string, id uuid.UUID) (*storedEvent, error) {
	e, _, err := s.readEvent(ctx, base, tenant, id)
	return e, err
}

// readEvent reads the record of an event, and also returns it as it is stored.
func (s *Store) readEvent(ctx context.Context, base, tenant string, id uuid.UUID) (e *storedEvent, stored string, err error) {
	reply, err := s.run(ctx, storedEventScript, base, tenant, id[:])
	if err != nil {
		return nil, "", err
	}
	if len(reply) < 2 {
		return nil, "", delivery.ErrNotFound
	}
	stored, _ = reply[1].(string)
	e, err = decodeEvent(tenant, id, stored)
	if err != nil {
		s.setAside(ctx, base, unreadableEvent(base, tenant, id, stored, err)...)
		return nil, "", delivery.ErrNotFound
	}
	return e, stored, nil
}

// isDropped reports whether the states of an event's deliveries have been dropped; swept is
// the hour before which everything has been: see common.lua.
func (e *storedEvent) isDropped(swept int64) bool { return record.Hour(e.ReceivedAt)+1 < swept }

// args makes the arguments of scripts about an event and some of its webhooks.
func (e *storedEvent) args(webhooks []uuid.UUID, more ...any) []any {
	args := make([]any, 0, 5+len(more)+2*len(webhooks))
	args = append(args, e.Tenant, e.ID[:], e.Type, e.ReceivedAt.UnixMilli(), bucket(e.ReceivedAt, e.ID))
	args = append(args, more...)
	for _, id := range webhooks {
		args = append(args, id[:], firstRequest(delivery.WebhookRef{Tenant: e.Tenant, ID: id}, e.ID, e.test))
	}
	return args
}

// firstRequest is what the ids have in common that the first request of a delivery may have:
// all that follows the time. It is empty for a test, which leaves a state whatever becomes of it.
func firstRequest(w delivery.WebhookRef, event uuid.UUID, test bool) []byte {
	if test {
		return nil
	}
	id := delivery.FirstRequestID(w, event, time.UnixMilli(0))
	return id[6:]
}
