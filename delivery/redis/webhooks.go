package redis

import (
	"context"
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
	set, err := s.readWebhooks(ctx, p, tenant)
	if err != nil {
		return nil, 0, err
	}
	slices.SortFunc(set.webhooks, delivery.OldestFirst)
	return set.webhooks, set.version, nil
}

// Webhook reads one webhook and the version of its tenant's set.
func (s *Store) Webhook(ctx context.Context, ref delivery.WebhookRef) (*delivery.Webhook, int64, error) {
	p, err := s.at(ref.Tenant)
	if err != nil {
		return nil, 0, err
	}
	set, err := s.readWebhooks(ctx, p, ref.Tenant, ref.ID.String())
	if err != nil {
		return nil, 0, err
	}
	if len(set.webhooks) == 0 {
		return nil, 0, delivery.ErrNotFound
	}
	return set.webhooks[0], set.version, nil
}

// readWebhooks reads some webhooks of a tenant, or all. What does not agree is put right
// first: webhooks are chosen by what this returns, and accept.lua must agree.
func (s *Store) readWebhooks(ctx context.Context, p *partition, tenant string, ids ...any) (set webhookSet, err error) {
	const tries = 3
	for range tries {
		reply, err := s.run(ctx, webhooksScript, p.base, append([]any{tenant}, ids...)...)
		if err != nil {
			return webhookSet{}, err
		}
		if len(reply)%3 != 2 {
			return webhookSet{}, errUnknownReply
		}
		set = decodeWebhooks(p.base, tenant, reply[1:])
		if len(set.bad) == 0 && set.restore == nil {
			return set, nil
		}
		s.setAside(ctx, p.base, set.bad...)
		if set.restore == nil {
			continue
		}
		restored := &call{script: restoreScript, base: p.base, args: append([]any{tenant}, set.restore...)}
		if s.runAll(ctx, restored); restored.err != nil {
			return webhookSet{}, restored.err
		}
	}
	return set, nil
}

// webhookSet is what was read of a tenant's webhooks.
type webhookSet struct {
	version  int64
	webhooks []*delivery.Webhook
	bad      []unreadable
	restore  []any // arguments of restore.lua; nil if all agree
}

// decodeWebhooks decodes the version, and then id, record and state of each webhook.
func decodeWebhooks(base, tenant string, reply []any) (set webhookSet) {
	text, _ := reply[0].(string)
	var err error
	if set.version, err = strconv.ParseInt(text, 10, 64); err != nil {
		set.restore = []any{}
	}
	for r := reply[1:]; len(r) >= 3; r = r[3:] {
		id, _ := r[0].(string)
		stored, _ := r[1].(string)
		state, _ := r[2].(string)
		w, err := decodeWebhook(tenant, id, stored)
		if err != nil {
			set.bad = append(set.bad, unreadableWebhook(base, tenant, id, stored, err))
			continue
		}
		set.webhooks = append(set.webhooks, w)
		if want := webhookState(w); state == "" || state[:1] != want {
			set.restore = append(set.restore, id, stored, want)
		}
	}
	return set
}

func unreadableWebhook(base, tenant, id, stored string, err error) unreadable {
	return unreadable{key: webhooksKey(base, tenant), field: id, value: stored, why: err.Error()}
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

// webhookState is the state of a webhook that is not slow.
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
