package delivery

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/expression"
)

// BenchmarkFilterKeyAndHeaders does for an event all that a webhook asks for that has a filter, an
// order_by and headers: it evaluates both, and makes the request's message. It reports what that
// takes of the processor, which others use, too.
func BenchmarkFilterKeyAndHeaders(b *testing.B) {
	filter, err := expression.Compile(expression.Filter, `data.severity >= 3 && data.site.name.startsWith("eu-") && event_type != "alert_resolved"`)
	if err != nil {
		b.Fatal(err)
	}
	key, err := expression.Compile(expression.OrderBy, `data.device.id`)
	if err != nil {
		b.Fatal(err)
	}
	s := DefaultSettings()
	w := &Webhook{
		ID: uuid.New(), URL: "https://example.com/hooks", Secret: "secret",
		Headers: map[string]string{"X-Site": "eu", "X-Team": "operations", "X-Source": "alerts"},
	}
	ev := ExampleEvent("default", NewEvent{
		Type: "alert_active",
		Data: []byte(`{"alert_id":"a-1042","severity":3,"site":{"name":"eu-west-1","lat":48.2,"lon":16.37},"device":{"id":"d-77","model":"LVL-9","firmware":"2.14.3","tags":["roof","north"]},"value":71.4,"unit":"C","threshold":70,"since":"2026-11-29T10:00:00Z"}`),
	}, time.Now())
	var c preparedWebhooks
	var before, after syscall.Rusage
	b.ReportAllocs()
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	for b.Loop() {
		in := ev.Input()
		if passes, _, err := filter.Bool(context.Background(), in); err != nil || !passes {
			b.Fatal(passes, err)
		}
		if text, _, err := key.Text(context.Background(), in); err != nil || text != "d-77" {
			b.Fatal(text, err)
		}
		at := time.Now()
		_ = c.get(&s, w, at).message(&s, ev, at)
	}
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	took := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(took)/float64(b.N), "cpu-ns/op")
}
