package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// Webhooks reads all of a tenant's webhooks, oldest first.
func (s *Store) Webhooks(ctx context.Context, tenant string) ([]*delivery.Webhook, int64, error) {
	p, err := s.at(tenant)
	if err != nil {
		return nil, 0, err
	}
	records, err := s.client().HGetAll(ctx, webhooksKey(p.base, tenant)).Result()
	if err != nil {
		return nil, 0, s.wrap(err)
	}
	var version int64
	webhooks := make([]*delivery.Webhook, 0, len(records))
	for id, stored := range records {
		if id == versionField {
			if version, err = parseVersion(stored); err != nil {
				return nil, 0, err
			}
			continue
		}
		w, err := decodeWebhook(tenant, id, stored)
		if err != nil {
			return nil, 0, err
		}
		webhooks = append(webhooks, w)
	}
	slices.SortFunc(webhooks, delivery.OldestFirst)
	return webhooks, version, nil
}

// Webhook reads one webhook and the version of its tenant's set.
func (s *Store) Webhook(ctx context.Context, ref delivery.WebhookRef) (*delivery.Webhook, int64, error) {
	p, err := s.at(ref.Tenant)
	if err != nil {
		return nil, 0, err
	}
	id := ref.ID.String()
	fields, err := s.client().HMGet(ctx, webhooksKey(p.base, ref.Tenant), id, versionField).Result()
	if err != nil {
		return nil, 0, s.wrap(err)
	}
	stored, ok := fields[0].(string)
	if !ok {
		return nil, 0, delivery.ErrNotFound
	}
	text, _ := fields[1].(string)
	version, err := parseVersion(text)
	if err != nil {
		return nil, 0, err
	}
	w, err := decodeWebhook(ref.Tenant, id, stored)
	return w, version, err
}

func parseVersion(text string) (int64, error) {
	version, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", record.ErrUnreadable, err)
	}
	return version, nil
}

// What the scripts that change webhooks return.
const (
	webhookAbsent   = 0 // or, from create_webhook.lua, that there are too many
	webhookWritten  = 1
	webhookConflict = -1
)

// CreateWebhook adds a webhook.
func (s *Store) CreateWebhook(ctx context.Context, w *delivery.Webhook) error {
	code, err := s.changeWebhook(ctx, createWebhookScript, w.Ref(), record.EncodeWebhook(w), webhookState(w), delivery.MaxWebhooks)
	if err == nil && code != webhookWritten {
		return delivery.ErrTooManyWebhooks
	}
	return err
}

// UpdateWebhook writes a changed webhook, and pauses or resumes its deliveries.
func (s *Store) UpdateWebhook(ctx context.Context, w *delivery.Webhook, version int64) error {
	code, err := s.changeWebhook(ctx, updateWebhookScript, w.Ref(), record.EncodeWebhook(w), webhookState(w), version)
	switch {
	case err != nil:
		return err
	case code == webhookAbsent:
		return delivery.ErrNotFound
	case code == webhookConflict:
		return delivery.ErrConflict
	}
	return nil
}

// DeleteWebhook removes a webhook. Sweep removes its rows of the log.
func (s *Store) DeleteWebhook(ctx context.Context, ref delivery.WebhookRef) error {
	code, err := s.changeWebhook(ctx, deleteWebhookScript, ref)
	if err == nil && code == webhookAbsent {
		return delivery.ErrNotFound
	}
	return err
}

func webhookState(w *delivery.Webhook) string {
	if w.Enabled {
		return "e"
	}
	return "p"
}

// changeWebhook runs a script. The webhook's tenant and id come before its other arguments.
func (s *Store) changeWebhook(ctx context.Context, script *script, ref delivery.WebhookRef, args ...any) (int64, error) {
	p, err := s.at(ref.Tenant)
	if err != nil {
		return 0, err
	}
	reply, err := s.run(ctx, script, p.base, append([]any{ref.Tenant, ref.ID.String()}, args...)...)
	if err != nil {
		return 0, err
	}
	if len(reply) != 2 {
		return 0, errUnknownReply
	}
	code, ok := reply[1].(int64)
	if !ok {
		return 0, errUnknownReply
	}
	return code, nil
}
