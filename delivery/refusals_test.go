package delivery_test

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// TestRefusalsInTheLog: the log of requests, which tenants read, has the rule, and Caddy's log
// the address, once a minute at most.
func TestRefusalsInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := &sender.RefusedError{Rule: "the rule", Host: "inside.example", Addr: netip.MustParseAddr("10.1.2.3")}
		core, lines := observer.New(zapcore.InfoLevel)
		settings := delivery.DefaultSettings()
		settings.Retry.Attempts = 1
		r := run(t, flaky.New(), newEndpoints(func(context.Context, sender.Message) sender.Response {
			return sender.Response{Failure: refused.Error(), Cause: refused}
		}))
		defer r.stop()
		defer r.Attach(settings, zap.New(core))()
		w := r.webhook("https://inside.example")
		for range 2 {
			r.emit(100)
			time.Sleep(30 * time.Second)
			r.emit(100)
			time.Sleep(time.Minute)
			told := lines.FilterField(zap.Stringer("address", refused.Addr)).All()
			if len(told) != 1 {
				t.Fatalf("%d lines: %+v", len(told), told)
			}
			lines.TakeAll()
			fields := told[0].ContextMap()
			if told[0].Level != zapcore.WarnLevel || fields["tenant"] != tenant || fields["webhook_id"] != w.ID.String() ||
				fields["reason"] != refused.Rule || fields["host"] != refused.Host {
				t.Errorf("the line is %+v", told[0])
			}
		}
		for _, q := range r.log() {
			if q.Error != "the rule: ask the operator of this server" {
				t.Errorf("the request says %q", q.Error)
			}
		}
	})
}
