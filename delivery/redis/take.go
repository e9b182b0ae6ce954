package redis

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

var takeScript = loadScript("take")

// Take leases one pending delivery.
func (s *Store) Take(ctx context.Context, ref delivery.WebhookRef, id uuid.UUID, lease time.Duration) (delivery.Job, error) {
	p, err := s.at(ref.Tenant)
	if err != nil {
		return delivery.Job{}, err
	}
	reply, err := s.run(ctx, takeScript, p.base, ref.Tenant, refText(ref), ref.ID[:], id[:], lease.Milliseconds())
	if err != nil {
		return delivery.Job{}, err
	}
	if len(reply) != 3 && len(reply) != 8 {
		return delivery.Job{}, errUnknownReply
	}
	stored, _ := reply[2].(string)
	if reply[1] == "gone" {
		return delivery.Job{}, delivery.ErrNotFound
	}
	e, err := decodeEvent(ref.Tenant, id, stored)
	switch {
	case err != nil:
		s.setAside(ctx, p.base, unreadableEvent(p.base, ref.Tenant, id, stored, err)...)
		return delivery.Job{}, delivery.ErrNotFound
	case !slices.Contains(e.targets, ref.ID):
		return delivery.Job{}, delivery.ErrNotFound
	case reply[1] == "ended":
		return delivery.Job{}, delivery.ErrDeliveryEnded
	case reply[1] == "held":
		return delivery.Job{}, delivery.ErrInFlight
	case len(reply) != 8:
		return delivery.Job{}, errUnknownReply
	}
	leaseEnd, _ := reply[3].(int64)
	attempts, _ := reply[4].(int64)
	state, _ := reply[5].(string)
	webhook, _ := reply[6].(string)
	w, err := s.agreeingWebhook(ctx, ref, webhook, state)
	e.Payload = nil
	return delivery.Job{Webhook: w, Event: &e.Event, Attempt: int(attempts) + 1, LeaseEnd: leaseEnd, Ordered: strings.HasSuffix(state, queueMark), Waits: reply[7] == int64(1)}, err
}
