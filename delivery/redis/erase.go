package redis

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

var eraseScript = loadScript("erase")

// EraseEvent removes what an event and its requests carried, and its pending deliveries: by one
// script, unless it has many deliveries or requests.
func (s *Store) EraseEvent(ctx context.Context, tenant string, id uuid.UUID) error {
	p, err := s.at(tenant)
	if err != nil {
		return err
	}
	reply, err := s.run(ctx, storedEventScript, p.base, tenant, id[:])
	if err != nil {
		return err
	}
	stored := ""
	if len(reply) == 2 {
		stored, _ = reply[1].(string)
	}
	if stored == "" {
		return delivery.ErrNotFound
	}
	e, err := decodeEvent(tenant, id, stored)
	if err != nil {
		s.setAside(ctx, p.base, unreadableEvent(p.base, tenant, id, stored, err)...)
		return delivery.ErrNotFound
	}
	record := encodeErased(&e.Event, e.test, e.targets)
	webhooks, goOn := e.targets, any("")
	for begun := false; !begun || len(webhooks) > 0; begun = true {
		some := webhooks[:min(len(webhooks), deliveriesPerScript)]
		isLast := ""
		if len(some) == len(webhooks) {
			isLast = "1"
		}
		reply, err := s.run(ctx, eraseScript, p.base, e.args(some, stored[:eventHeadSize], record, s.work, goOn, isLast)...)
		if err != nil {
			return err
		}
		if len(reply) != 3 {
			return errUnknownReply
		}
		done, _ := reply[1].(int64)
		switch {
		case done < 0:
			return delivery.ErrNotFound
		case int(done) > len(some), done == 0 && len(some) > 0 && reply[2] == "":
			return errUnknownReply
		}
		webhooks, goOn = webhooks[done:], reply[2]
	}
	return nil
}

// goOnErasing erases an event that Sweep has found to be erased in part.
func (s *Store) goOnErasing(ctx context.Context, event any) error {
	field, _ := event.(string)
	tenant, id, ok := parseEventField(field)
	if !ok {
		return errUnknownReply
	}
	if err := s.EraseEvent(ctx, tenant, id); !errors.Is(err, delivery.ErrNotFound) {
		return err
	}
	return nil // it has expired meanwhile
}

// webhooksOf are the webhooks of an event's targets.
func webhooksOf(e *delivery.AcceptEvent) []uuid.UUID {
	ids := make([]uuid.UUID, len(e.Targets))
	for i := range e.Targets {
		ids[i] = e.Targets[i].Webhook
	}
	return ids
}
