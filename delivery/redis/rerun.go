package redis

import (
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

var rerunScript = loadScript("rerun")

// Resend reads what it takes to send a request again: by one script, unless what is stored of the
// webhook has to be put right.
func (s *Store) Resend(ctx context.Context, tenant string, id uuid.UUID) (*delivery.Webhook, *delivery.Event, error) {
	p, err := s.at(tenant)
	if err != nil {
		return nil, nil, err
	}
	reply, err := s.run(ctx, rerunScript, p.base, tenant, id[:])
	if err != nil {
		return nil, nil, err
	}
	if len(reply) == 1 {
		return nil, nil, delivery.ErrNotFound
	}
	if len(reply) != 5 {
		return nil, nil, errUnknownReply
	}
	row, _ := reply[1].(string)
	event, _ := reply[2].(string)
	state, _ := reply[3].(string)
	webhook, _ := reply[4].(string)
	r, err := decodeRequest(tenant, id, row)
	if err != nil {
		s.setAside(ctx, p.base, unreadableRow(p.base, id, row, err)...)
		return nil, nil, delivery.ErrNotFound
	}
	w, err := s.agreeingWebhook(ctx, delivery.WebhookRef{Tenant: tenant, ID: r.WebhookID}, webhook, state)
	if err != nil || event == "" {
		return w, nil, err
	}
	e, err := decodeEvent(tenant, r.EventID, event)
	if err == nil {
		err = s.encryption.DecryptEvent(&e.Event)
	}
	switch {
	case encryption.IsMissingKey(err):
		return nil, nil, err
	case errors.Is(err, record.ErrUnreadable):
		s.setAside(ctx, p.base, unreadableEvent(p.base, tenant, r.EventID, event, err)...)
		return w, nil, nil
	case err != nil:
		return nil, nil, err
	case e.Erased, !e.SentBy(&r):
		return w, nil, nil
	}
	return w, &e.Event, nil
}

// agreeingWebhook decodes a webhook. If its record and its state do not agree, or it cannot be
// read, it is read in the way that puts this right.
func (s *Store) agreeingWebhook(ctx context.Context, ref delivery.WebhookRef, stored, state string) (*delivery.Webhook, error) {
	w, err := decodeWebhook(ref.Tenant, ref.ID.String(), stored, s.encryption.Keys())
	state = strings.TrimSuffix(state, queueMark)
	if err == nil && (state == webhookState(w) || state == webhookState(w)+slowMark) {
		return w, nil
	}
	w, _, err = s.Webhook(ctx, ref)
	return w, err
}
