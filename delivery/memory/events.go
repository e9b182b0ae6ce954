package memory

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Events reads a page of a tenant's events in the order in which they came.
func (s *Store) Events(_ context.Context, tenant string, filter delivery.EventFilter) (page delivery.EventPage, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	after := uint64(0)
	switch len(filter.After) {
	case 0:
	case 8:
		after = binary.BigEndian.Uint64([]byte(filter.After))
	default:
		return page, delivery.ErrUnknownPlace
	}
	var all []*event
	for key, e := range s.events {
		isBehind := filter.After == "" || filter.OldestFirst && e.number > after || !filter.OldestFirst && e.number < after
		if key.tenant == tenant && isBehind && s.event(key) != nil && filter.Selects(e.Type, e.ReceivedAt) {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b *event) int {
		if filter.OldestFirst {
			return cmp.Compare(a.number, b.number)
		}
		return cmp.Compare(b.number, a.number)
	})
	for _, e := range all[:min(len(all), filter.Limit)] {
		page.Events = append(page.Events, delivery.ListedEvent{
			ID: e.ID, Type: e.Type, OccurredAt: e.OccurredAt, ReceivedAt: e.ReceivedAt, Deliveries: e.accepted, Test: e.test,
			Place: string(binary.BigEndian.AppendUint64(nil, e.number)),
		})
	}
	if n := len(page.Events); n < len(all) {
		page.Next = page.Events[n-1].Place
	}
	return page, nil
}
