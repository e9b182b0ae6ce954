package redis

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

var addDeliveryScript = loadScript("add_delivery")

// maxAdds is how often AddDelivery tries: each time, somebody else has added a delivery to the event.
const maxAdds = 10

// AddDelivery adds a delivery to an event that was accepted without it. It is not on the schedule.
func (s *Store) AddDelivery(ctx context.Context, ref delivery.WebhookRef, id uuid.UUID) (*delivery.Event, bool, error) {
	p, err := s.at(ref.Tenant)
	if err != nil {
		return nil, false, err
	}
	for range maxAdds {
		e, stored, err := s.readEvent(ctx, p.base, ref.Tenant, id)
		if err != nil {
			return nil, false, err
		}
		if e.Erased || e.test {
			return nil, false, delivery.ErrNotFound
		}
		seen, changed, err := withTarget(stored, ref.ID)
		if err != nil {
			return nil, false, err
		}
		if slices.Contains(e.targets, ref.ID) {
			changed = nil
		} else if len(e.targets) >= delivery.MaxDeliveries {
			return nil, false, delivery.ErrTooManyDeliveries
		}
		if err := s.encryption.DecryptEvent(&e.Event); errors.Is(err, record.ErrUnreadable) {
			return nil, false, delivery.ErrNotFound
		} else if err != nil {
			return nil, false, err
		}
		reply, err := s.run(ctx, addDeliveryScript, p.base, ref.Tenant, id[:], seen, len(stored), changed, bucket(e.ReceivedAt, id), ref.ID[:])
		if err != nil {
			return nil, false, err
		}
		if len(reply) != 2 {
			return nil, false, errUnknownReply
		}
		switch reply[1] {
		case "added":
			return &e.Event, true, nil
		case "there":
			return &e.Event, false, nil
		case "":
			return nil, false, delivery.ErrNotFound
		}
	}
	return nil, false, delivery.ErrConflict // it has changed each time
}

// withTarget is what the record of an event has before its payload, as it is and with one more webhook.
// The payload is the end of the record, which may be large: nobody needs to send it back.
func withTarget(stored string, webhook uuid.UUID) (seen string, changed []byte, err error) {
	r, err := record.DecodeEvent([]byte(stored[eventHeadSize:]))
	if err != nil {
		return "", nil, err
	}
	payload := len(r.Payload)
	r.Targets = append(r.Targets, webhook[:]...)
	changed = record.AppendEvent([]byte(stored[:eventHeadSize]), r)
	return stored[:len(stored)-payload], changed[:len(changed)-payload], nil
}
