package caddymodule

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/api"
	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// TestPrepareEmit has small bodies that become large events: few of them are in memory at a time.
func TestPrepareEmit(t *testing.T) {
	types, err := api.NewEventTypes(nil)
	if err != nil {
		t.Fatal(err)
	}
	a := &api.API{Backend: api.Backend{EventTypes: types, MaxEventSize: 1 << 20}}
	for size, want := range map[int]int{10: 10, 300 << 10: 3, 1 << 19: 1, 1000 << 10: 1} {
		body := gzipped(t, fmt.Sprintf(`{"x":"%s"}`, strings.Repeat("x", size)))
		batch := make([]*gatewayEvent, 10)
		for i := range batch {
			batch[i] = &gatewayEvent{
				tenant: api.DefaultTenant, event: delivery.NewEvent{Type: "device_created"},
				body: body, encoding: "gzip", maxSize: 1 << 20,
			}
		}
		events, ends, done := prepareEmit(t.Context(), a, batch)
		if len(events) != want || len(ends) != want || done != 0 {
			t.Errorf("of %d bytes each, %d are emitted at once, want %d, and %d are refused", size, len(events), want, done)
		}
	}
}
