package redis

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

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

// readWebhooks reads some webhooks of a tenant. What does not agree is put right first:
// webhooks are chosen by what this returns, and accept.lua must agree.
func (s *Store) readWebhooks(ctx context.Context, p *partition, tenant string, ids ...string) (set webhookSet, err error) {
	const tries = 3
	for range tries {
		if set, err = s.readSet(ctx, p, tenant, ids); err != nil || set.agrees() {
			return set, err
		}
		if err := s.putRight(ctx, p, tenant, &set); err != nil {
			return webhookSet{}, err
		}
	}
	return set, nil
}

// putRight sets aside what cannot be read, and restores the states of webhooks.
func (s *Store) putRight(ctx context.Context, p *partition, tenant string, set *webhookSet) error {
	s.setAside(ctx, p.base, set.bad...)
	if set.restore == nil {
		return nil
	}
	_, err := s.run(ctx, restoreScript, p.base, append([]any{tenant}, set.restore...)...)
	return err
}

// readSet reads webhooks, and then their states. They may have changed in between: so restore.lua
// looks again.
func (s *Store) readSet(ctx context.Context, p *partition, tenant string, ids []string) (set webhookSet, err error) {
	key := webhooksKey(p.base, tenant)
	fields := append(slices.Clone(ids), versionField)
	some := s.client().HMGet(ctx, key, fields...)
	if err := s.mend(ctx, p.base, key, some.Err()); err != nil {
		return set, err
	}
	records := make(map[string]string)
	for i, value := range some.Val() {
		if text, ok := value.(string); ok {
			records[fields[i]] = text
		}
	}
	if len(records) == 0 {
		return set, nil
	}
	set.decode(p.base, tenant, records, s.encryption.Keys())
	if set.missing != nil {
		return webhookSet{}, s.encryption.Missing(set.missing)
	}
	return set, s.readStates(ctx, p, &set)
}

// readStates compares the states of webhooks with their records.
func (s *Store) readStates(ctx context.Context, p *partition, set *webhookSet) error {
	for webhooks := range slices.Chunk(set.webhooks, commandsPerPipeline) {
		refs := make([]string, len(webhooks))
		for i, w := range webhooks {
			refs[i] = refText(w.Ref())
		}
		states := s.client().HMGet(ctx, stateKey(p.base), refs...)
		if err := s.mend(ctx, p.base, stateKey(p.base), states.Err()); err != nil {
			return err
		}
		for i, w := range webhooks {
			state := ""
			if values := states.Val(); i < len(values) {
				state, _ = values[i].(string)
			}
			set.compare(w, state)
		}
	}
	return nil
}

// webhookSet is what was read of a tenant's webhooks.
type webhookSet struct {
	version  int64
	webhooks []*delivery.Webhook
	records  map[string]string
	bad      []unreadable
	restore  []any // arguments of restore.lua; nil if there is nothing to restore
	missing  error // a secret is encrypted with a key that is not there
	absent   []uuid.UUID
}

// compare compares the state of a webhook with its record.
func (set *webhookSet) compare(w *delivery.Webhook, state string) {
	state = strings.TrimSuffix(state, queueMark)
	if want := webhookState(w); state != want && state != want+slowMark {
		id := w.ID.String()
		set.restore = append(set.restore, id, set.records[id], want, webhookRate(w))
	}
}

func (set *webhookSet) agrees() bool { return len(set.bad) == 0 && set.restore == nil }

// decode decodes the version and the webhooks.
func (set *webhookSet) decode(base, tenant string, records map[string]string, keys *encryption.Keyring) {
	set.records = records
	var err error
	if set.version, err = strconv.ParseInt(records[versionField], 10, 64); err != nil {
		set.restore = []any{}
	}
	for id, stored := range records {
		if id == versionField {
			continue
		}
		w, err := decodeWebhook(tenant, id, stored, keys)
		if encryption.IsMissingKey(err) {
			set.missing = err
			continue
		}
		if err != nil {
			set.bad = append(set.bad, unreadableWebhook(base, tenant, id, stored, err))
			continue
		}
		set.webhooks = append(set.webhooks, w)
	}
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
func (s *Store) CreateWebhook(ctx context.Context, w *delivery.Webhook, most int, audit ...*delivery.AuditEntry) error {
	code, err := s.changeWebhook(ctx, createWebhookScript, w.Ref(), audit, record.EncodeWebhook(w, s.encryption.Keys()), webhookState(w), webhookRate(w), most, declaredMark(w))
	if err == nil && code != webhookWritten {
		return delivery.ErrTooManyWebhooks
	}
	return err
}

// UpdateWebhook writes a changed webhook, and pauses or resumes its deliveries.
func (s *Store) UpdateWebhook(ctx context.Context, w *delivery.Webhook, version int64, audit ...*delivery.AuditEntry) error {
	code, err := s.changeWebhook(ctx, updateWebhookScript, w.Ref(), audit, record.EncodeWebhook(w, s.encryption.Keys()), webhookState(w), webhookRate(w), version, declaredMark(w))
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
func (s *Store) DeleteWebhook(ctx context.Context, ref delivery.WebhookRef, audit ...*delivery.AuditEntry) error {
	code, err := s.changeWebhook(ctx, deleteWebhookScript, ref, audit)
	if err == nil && code == webhookAbsent {
		return delivery.ErrNotFound
	}
	return err
}

// DeclaredWebhooks names the webhooks that the configuration made.
func (s *Store) DeclaredWebhooks(ctx context.Context) ([]delivery.WebhookRef, error) {
	parts, err := s.inTurn()
	if err != nil {
		return nil, err
	}
	var all []delivery.WebhookRef
	for _, p := range parts {
		key := declaredKey(p.base)
		refs := s.client().SScan(ctx, key, 0, "", commandsPerPipeline).Iterator()
		for refs.Next(ctx) {
			tenant, id, _ := strings.Cut(refs.Val(), ":")
			if parsed, err := uuid.Parse(id); err == nil {
				all = append(all, delivery.WebhookRef{Tenant: tenant, ID: parsed})
			}
		}
		if err := s.mend(ctx, p.base, key, refs.Err()); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// declaredMark says to scripts whether the configuration made a webhook.
func declaredMark(w *delivery.Webhook) string {
	if w.Declared {
		return "1"
	}
	return ""
}

// webhookState is the state of a webhook that is not slow.
func webhookState(w *delivery.Webhook) string {
	state := "p"
	if w.Enabled {
		state = "e"
	}
	if w.RateLimit != nil {
		state += limitedMark
	}
	return state
}

// changeWebhook runs a script. The webhook's tenant and id come before its other arguments, and
// entries of the audit log behind them.
func (s *Store) changeWebhook(ctx context.Context, script *script, ref delivery.WebhookRef, audit []*delivery.AuditEntry, args ...any) (int64, error) {
	p, err := s.at(ref.Tenant)
	if err != nil {
		return 0, err
	}
	args = append([]any{ref.Tenant, ref.ID.String()}, args...)
	for _, entry := range audit {
		args = append(args, entry.ID[:], record.EncodeAudit(entry))
	}
	reply, err := s.run(ctx, script, p.base, args...)
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
