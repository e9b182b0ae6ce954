package api_test

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/embedded"
)

// TestSecrets refuses secrets with which no receiver can verify anything, also while no
// request has the signature of Standard Webhooks: a reload may change that. Of others it
// warns, in the response and in the log.
func TestSecrets(t *testing.T) {
	const good = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	for _, standard := range []bool{false, true} {
		t.Run(fmt.Sprintf("standard_webhooks %t", standard), func(t *testing.T) {
			c := newConfig()
			c.settings.StandardWebhooks = standard
			s := start(t, c)
			var hook webhook
			s.admin("POST", "api/webhooks", `{"url":"https://example.com/"}`).want(t, 201, &hook)
			path := "api/webhooks/" + hook.ID
			for _, secret := range []string{"whsec_", "whsec_hush?", "whsec_hush==", "v1," + good, " hush", "hush\\n", good + " "} {
				for method, path := range map[string]string{"POST": "api/webhooks", "PATCH": path} {
					p := s.admin(method, path, `{"url":"https://example.com/","secret":"`+secret+`"}`).wantProblem(t, 422)
					if p.fields() != "secret" || strings.Contains(fmt.Sprint(p), "hush") {
						t.Errorf("%q: got %+v", secret, p)
					}
				}
			}
			for secret, warned := range map[string]bool{good: false, "hush whatever": standard, "whsk_hush": true, "whsec_AAEC": true, "SGVsbG8gaHVzaGh1c2g=": standard} {
				s.log.TakeAll()
				var created webhook
				s.admin("POST", "api/webhooks", `{"url":"https://example.com/","secret":"`+secret+`"}`).want(t, 201, &created)
				s.admin("PATCH", path, `{"secret":"`+secret+`"}`).want(t, 200, nil)
				s.admin("PATCH", path, `{"description":"nothing about the secret"}`).want(t, 200, nil)
				s.wantWarning(created.ID, warned)
				s.wantWarning(hook.ID, warned)
				logged := s.log.FilterLevelExact(zap.WarnLevel).All()
				if warned && len(logged) != 2 || !warned && len(logged) != 0 || strings.Contains(fmt.Sprint(logged), secret) {
					t.Errorf("%q: the log says %v", secret, logged)
				}
			}
		})
	}
}

// wantWarning reads what may be a mistake in a webhook.
func (s *site) wantWarning(id string, warned bool) (warning string) {
	s.t.Helper()
	var all struct{ Data []webhookStats }
	s.admin("GET", "api/stats/webhooks?webhook_ids="+id, "").want(s.t, 200, &all)
	if warnings := all.Data[0].Warnings; warnings == nil || len(warnings) > 1 || (len(warnings) == 1) != warned {
		s.t.Errorf("the warnings are %q, want any: %t", warnings, warned)
	}
	return strings.Join(all.Data[0].Warnings, " ")
}

// TestStoredSecret has a secret in the store that an earlier version took: with the
// signature of Standard Webhooks, the log and the webhook itself say that it is wrong.
func TestStoredSecret(t *testing.T) {
	endpoint, store := newReceiver(t), embedded.New(t.TempDir())
	if err := store.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := &delivery.Webhook{
		Tenant: "default", ID: delivery.NewID(store.Now()), URL: endpoint.URL, Secret: "whsec_###", Enabled: true,
		EventTypes: []string{"*"}, CreatedAt: store.Now(), UpdatedAt: store.Now(),
	}
	if err := store.CreateWebhook(t.Context(), w, delivery.MaxWebhooks); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	c := newConfig().withLoopback()
	c.store, c.settings.StandardWebhooks = store, true
	s := start(t, c)
	for range 3 {
		s.emit(`{"event_type":"group_created","data":{}}`).want(t, 202, nil)
		endpoint.next(t)
	}
	warnings := s.log.Filter(func(e observer.LoggedEntry) bool { return e.ContextMap()["webhook_id"] == w.ID.String() }).FilterLevelExact(zap.WarnLevel).All()
	if len(warnings) != 1 || !strings.Contains(fmt.Sprint(warnings[0].ContextMap()), "after whsec_") {
		t.Errorf("the log says %v", warnings)
	}
	if got := s.wantWarning(w.ID.String(), true); !strings.Contains(got, "after whsec_") {
		t.Errorf("the warning is %q", got)
	}
}
