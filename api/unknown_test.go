package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/memory"
)

// silent is a store that does not say whether it did what was asked.
type silent struct{ *memory.Store }

var errNoAnswer = errors.New("no answer")

func (s *silent) Accept(_ context.Context, batch delivery.AcceptBatch) []delivery.Accepted {
	results := make([]delivery.Accepted, len(batch.Calls))
	for i := range results {
		results[i].Err = errNoAnswer
	}
	return results
}

func (s *silent) CreateWebhook(context.Context, *delivery.Webhook, int, ...*delivery.AuditEntry) error {
	return errNoAnswer
}

func (s *silent) Requests(context.Context, string, delivery.RequestFilter) (delivery.RequestPage, error) {
	return delivery.RequestPage{}, errNoAnswer
}

// TestOutcomeUnknown checks that an answer says so, by its type too, when nobody knows
// whether the call did its work, and that it does not when the call changes nothing.
func TestOutcomeUnknown(t *testing.T) {
	c := newConfig()
	c.store = &silent{memory.New()}
	s := start(t, c)
	const unknown = "operations.md#outcome-unknown"
	for _, call := range []struct{ method, path, body, kind, says string }{
		{"POST", "/hooks/api/events", `{"event_type":"alert_active","data":{}}`, unknown, "they may have been stored"},
		{"POST", "/hooks/api/webhooks", `{"url":"https://example.com/"}`, unknown, "it may have been done"},
		{"GET", "/hooks/api/requests", "", "about:blank", "did not answer"},
	} {
		got := s.do(call.method, call.path, call.body, "Authorization", asAdmin)
		var p struct{ Type, Title, Detail string }
		if err := json.Unmarshal(got.body, &p); err != nil {
			t.Fatal(err)
		}
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
			t.Errorf("%s %s: %d, Retry-After %q", call.method, call.path, got.status, got.header.Get("Retry-After"))
		}
		if !strings.HasSuffix(p.Type, call.kind) || !strings.Contains(p.Detail, call.says) || p.Title == "" {
			t.Errorf("%s %s: %+v, want the type %q and %q", call.method, call.path, p, call.kind, call.says)
		}
		if strings.Contains(p.Detail, errNoAnswer.Error()) {
			t.Errorf("the answer has what is for the log: %s", p.Detail)
		}
	}
	if lines := s.log.FilterLevelExact(zap.ErrorLevel).FilterMessage("call failed").Len(); lines != 1 {
		t.Errorf("%d lines of the log at ERROR for calls that failed, want 1", lines)
	}
}
