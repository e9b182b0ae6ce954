package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// BenchmarkWorst accepts events, one at a time, while others read again and again what takes
// longest to read. It reports for how long an Accept waits, in the middle and at most.
func BenchmarkWorst(b *testing.B) {
	s := open(b, b.TempDir())
	w := newHook(b, s)
	logOfTypes(b, s, w, delivery.MaxEventTypes, 14)
	for name, read := range withWorstHistory(b, s, w, map[string]func(ctx context.Context) error{
		"nothing": func(ctx context.Context) error { <-ctx.Done(); return nil },
		"Requests": func(ctx context.Context) error {
			_, err := s.Requests(ctx, w.Tenant, delivery.RequestFilter{Limit: delivery.MaxPage})
			return err
		},
		"Requests/q": func(ctx context.Context) error {
			_, err := s.Requests(ctx, w.Tenant, delivery.RequestFilter{Limit: delivery.MaxPage, Text: "nobody has this"})
			return err
		},
		"WebhookRequests": func(ctx context.Context) error {
			_, err := s.WebhookRequests(ctx, w.Tenant, slices.Repeat([]uuid.UUID{w.ID}, 100), s.Now().Add(-23*time.Hour))
			return err
		},
		"RequestCounts": func(ctx context.Context) error {
			_, err := s.RequestCounts(ctx, w.Tenant, s.Now().Add(-delivery.StatsKept))
			return err
		},
	}) {
		b.Run(name, func(b *testing.B) { acceptBeside(b, s, w, read) })
	}
}

// acceptBeside accepts events beside four readers.
func acceptBeside(b *testing.B, s *Store, w *delivery.Webhook, read func(context.Context) error) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				if err := read(ctx); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	_, version, err := storetest.Webhooks(b.Context(), s, w.Tenant)
	if err != nil {
		b.Fatal(err)
	}
	took := make([]time.Duration, 500)
	for i := range took {
		call := delivery.AcceptCall{Tenant: w.Tenant, Version: version, Nonce: uuid.New(), Events: []delivery.AcceptEvent{
			{ID: delivery.NewID(s.Now()), New: true, Type: "type 0", OccurredAt: s.Now(), Payload: []byte(`{}`)},
		}}
		began := time.Now()
		result := s.Accept(b.Context(), delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Lease: time.Minute, Retention: time.Hour})[0]
		if took[i] = time.Since(began); result.Err != nil {
			b.Fatal(result.Err)
		}
	}
	cancel()
	readers.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "longest-ms")
	b.ReportMetric(0, "ns/op")
}

// logOfTypes writes a success and a failure of each of some event types, on each of some days.
func logOfTypes(t testing.TB, s *Store, w *delivery.Webhook, types, days int) {
	t.Helper()
	for day := range days {
		var outcomes []delivery.Outcome
		for i := range types {
			for _, status := range []delivery.RequestStatus{delivery.RequestSuccess, delivery.RequestFailed} {
				at := s.Now().Add(-time.Duration(day)*24*time.Hour - time.Duration(i)*time.Second/100)
				outcomes = append(outcomes, delivery.Outcome{ReceivedAt: at, Request: delivery.Request{
					Tenant: w.Tenant, ID: delivery.NewID(at), WebhookID: w.ID, EventID: uuid.New(), URL: w.URL,
					EventType: fmt.Sprint("type ", i), Trigger: delivery.TriggerRerun, Status: status,
				}})
			}
		}
		if err := errors.Join(s.Complete(t.Context(), outcomes)...); err != nil {
			t.Fatal(err)
		}
	}
}
