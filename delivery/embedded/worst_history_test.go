package embedded

import (
	"context"
	"maps"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// worstHistory is what listing events and replays do, with many events in the index, of which one is
// large.
func worstHistory(b *testing.B, s *Store, w *delivery.Webhook) map[string]func(context.Context) error {
	b.Helper()
	_, version, err := storetest.Webhooks(b.Context(), s, w.Tenant)
	if err != nil {
		b.Fatal(err)
	}
	accept := func(n, size int) (id uuid.UUID) {
		call := delivery.AcceptCall{Tenant: w.Tenant, Version: version, Nonce: uuid.New(), Events: make([]delivery.AcceptEvent, n)}
		for i := range call.Events {
			id = delivery.NewID(s.Now())
			call.Events[i] = delivery.AcceptEvent{ID: id, New: true, Type: "type 0", OccurredAt: s.Now(), Payload: make([]byte, size)}
		}
		if r := s.Accept(b.Context(), delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Retention: time.Hour}); r[0].Err != nil {
			b.Fatal(r[0].Err)
		}
		return id
	}
	for range 40 {
		accept(1000, 10)
	}
	large := accept(1, 1<<20)
	all := map[string]func(context.Context) error{
		"AddDelivery": func(ctx context.Context) error {
			_, _, err := s.AddDelivery(ctx, w.Ref(), large)
			return err
		},
		"TakeStart": func(ctx context.Context) error {
			_, err := s.TakeStart(ctx, w.Ref(), false)
			return err
		},
	}
	for name, f := range map[string]delivery.EventFilter{
		"Events": {Limit: delivery.MaxPage}, "Events/none": {Limit: delivery.MaxPage, EventType: "nobody has this", OldestFirst: true},
	} {
		all[name] = func(ctx context.Context) error { _, err := s.Events(ctx, w.Tenant, f); return err }
	}
	for name, status := range map[string]delivery.RequestStatus{"any": "", "failed": delivery.RequestFailed, "success": delivery.RequestSuccess} {
		all["searchLog/"+name] = func(ctx context.Context) error { // as replays do
			page, err := s.Requests(ctx, w.Tenant, delivery.RequestFilter{Limit: delivery.MaxPage, Status: status})
			if err == nil {
				_, err = s.Standing(ctx, w.Tenant, page.Requests)
			}
			return err
		}
	}
	return all
}

func withWorstHistory(b *testing.B, s *Store, w *delivery.Webhook, reads map[string]func(context.Context) error) map[string]func(context.Context) error {
	maps.Copy(reads, worstHistory(b, s, w))
	return reads
}
