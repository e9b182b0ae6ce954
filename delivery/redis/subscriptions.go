package redis

import (
	"context"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
)

var (
	webhookPageScript    = loadScript("webhook_page")
	webhookChangesScript = loadScript("webhook_changes")
)

// WebhookPage reads some of a tenant's webhooks. A hash with few fields is read whole.
func (s *Store) WebhookPage(ctx context.Context, tenant, after string) (page delivery.WebhookPage, err error) {
	if after == "" {
		after = "0"
	}
	set, head, err := s.readStep(ctx, webhookPageScript, tenant, after, delivery.MaxWebhookPage)
	if err != nil {
		return page, err
	}
	next, ok := head.(string)
	if !ok {
		return page, errUnknownReply
	}
	if next == "0" {
		next = ""
	}
	return delivery.WebhookPage{Webhooks: set.webhooks, Version: set.version, Next: next}, nil
}

// WebhookChanges reads which webhooks of a tenant have changed since a version.
func (s *Store) WebhookChanges(ctx context.Context, tenant string, since int64) (changes delivery.WebhookChanges, err error) {
	set, head, err := s.readStep(ctx, webhookChangesScript, tenant, since)
	if err != nil {
		return changes, err
	}
	return delivery.WebhookChanges{
		Known: head == int64(1), Version: set.version, Webhooks: set.webhooks, Deleted: set.absent,
	}, nil
}

// WebhooksOf reads those of some webhooks that exist.
func (s *Store) WebhooksOf(ctx context.Context, tenant string, ids []uuid.UUID) ([]*delivery.Webhook, int64, error) {
	p, err := s.at(tenant)
	if err != nil || len(ids) == 0 {
		return nil, 0, err
	}
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	set, err := s.readWebhooks(ctx, p, tenant, texts...)
	if err != nil {
		return nil, 0, err
	}
	byID := make(map[uuid.UUID]*delivery.Webhook, len(set.webhooks))
	for _, w := range set.webhooks {
		byID[w.ID] = w
	}
	all := make([]*delivery.Webhook, 0, len(set.webhooks))
	for _, id := range ids {
		if w := byID[id]; w != nil {
			all = append(all, w)
		}
	}
	return all, set.version, nil
}

// readStep reads webhooks of a tenant by a script, and what its reply has between the version and
// them. What does not agree is put right first, as by readWebhooks.
func (s *Store) readStep(ctx context.Context, script *script, tenant string, args ...any) (set webhookSet, head any, err error) {
	p, err := s.at(tenant)
	if err != nil {
		return set, nil, err
	}
	const tries = 3
	for range tries {
		reply, err := s.run(ctx, script, p.base, append([]any{tenant}, args...)...)
		if err != nil {
			return webhookSet{}, nil, err
		}
		if set, head, err = readStepReply(p.base, tenant, reply, s.encryption.Keys()); err != nil {
			return webhookSet{}, nil, err
		}
		if set.missing != nil {
			return webhookSet{}, nil, s.encryption.Missing(set.missing)
		}
		if set.agrees() {
			return set, head, nil
		}
		if err := s.putRight(ctx, p, tenant, &set); err != nil {
			return webhookSet{}, nil, err
		}
	}
	return set, head, nil
}

// readStepReply reads the reply of a script: a version, something of the script's own, and the id,
// record and state of webhooks.
func readStepReply(base, tenant string, reply []any, keys *encryption.Keyring) (set webhookSet, head any, err error) {
	const first = 3
	if len(reply) < first || (len(reply)-first)%3 != 0 {
		return set, nil, errUnknownReply
	}
	records, states := make(map[string]string), make(map[string]string)
	if version, _ := reply[1].(string); version != "" {
		records[versionField] = version
	}
	for r := reply[first:]; len(r) > 0; r = r[3:] {
		id, _ := r[0].(string)
		record, _ := r[1].(string)
		states[id], _ = r[2].(string)
		if record != "" {
			records[id] = record
		} else if id, err := uuid.Parse(id); err == nil {
			set.absent = append(set.absent, id)
		}
	}
	set.decode(base, tenant, records, keys)
	for _, w := range set.webhooks {
		set.compare(w, states[w.ID.String()])
	}
	return set, reply[2], nil
}
