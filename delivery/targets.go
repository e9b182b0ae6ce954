package delivery

import (
	"context"
	"slices"

	"github.com/google/uuid"
)

// maxRecordsRead is how many webhooks are read for the deliveries of one emit, if the tenant's are
// not all remembered. The other deliveries wait in the store, whose Claim brings the webhook.
const maxRecordsRead = 2 * MaxWebhookPage

// types are those of the events, each once if they come together.
func (m *emission) types() []string {
	events := m.call.Events
	types := make([]string, 0, 1)
	for i := range events {
		if i == 0 || events[i].Type != events[i-1].Type {
			types = append(types, events[i].Type)
		}
	}
	return types
}

// record is the webhook of a target, nil if the delivery has to wait in the store.
func (m *emission) record(event, target int) *Webhook {
	of := m.webhooks[event][target]
	if of.record != nil {
		return of.record
	}
	return m.records[of]
}

// readRecords finds the webhooks of some targets.
func (e *Engine) readRecords(ctx context.Context, m *emission) error {
	m.records = make(map[*subscription]*Webhook)
	var missing []*subscription
	for _, wanting := range m.webhooks {
		for _, of := range wanting {
			if len(m.records) == maxRecordsRead {
				break
			}
			if _, ok := m.records[of]; ok {
				continue
			}
			m.records[of] = e.subscriptions.single.get(of)
			if m.records[of] == nil {
				missing = append(missing, of)
			}
		}
	}
	for some := range slices.Chunk(missing, MaxWebhookPage) {
		ids := make([]uuid.UUID, len(some))
		byID := make(map[uuid.UUID]*subscription, len(some))
		for i, of := range some {
			ids[i], byID[of.id] = of.id, of
		}
		webhooks, version, err := e.store.WebhooksOf(ctx, m.call.Tenant, ids)
		if err != nil {
			return err
		}
		if version != m.call.Version {
			return nil // Accept will find out, too, and has the targets chosen again
		}
		for _, w := range webhooks {
			of := byID[w.ID]
			m.records[of] = w
			e.subscriptions.single.put(of, w)
		}
	}
	return nil
}
