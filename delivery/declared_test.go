package delivery_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

func declared(id byte) delivery.Webhook {
	return delivery.Webhook{
		Tenant: tenant, ID: uuid.UUID{15: id}, Declared: true, URL: "https://a.example", Secret: "s", Enabled: true, EventTypes: []string{"*"},
	}
}

func declaredRef(id byte) delivery.WebhookRef {
	return delivery.WebhookRef{Tenant: tenant, ID: declared(id).ID}
}

// declaredRetention is short, since an engine is at work all the while.
const declaredRetention = 24 * time.Hour

func declaring(webhooks ...delivery.Webhook) delivery.Settings {
	s := delivery.DefaultSettings()
	s.Webhooks, s.Retention = webhooks, declaredRetention
	return s
}

// reload puts other settings in force.
func (r *running) reload(s delivery.Settings) {
	r.t.Helper()
	time.Sleep(time.Second)
	old := r.detach
	r.detach = r.Attach(s, nopLog)
	old()
	synctest.Wait()
}

func (r *running) declaredAs(id byte) *delivery.Webhook {
	r.t.Helper()
	w, err := r.Webhook(r.t.Context(), declaredRef(id))
	if err != nil {
		r.t.Fatal(err)
	}
	return w
}

// TestDeclared has webhooks come and go with the configuration. One that stays as it is, is not
// written.
func TestDeclared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok), func(s *delivery.Settings) { *s = declaring(declared(1)) })
		defer r.stop()
		r.emit(1)
		synctest.Wait()
		made := r.declaredAs(1)
		if len(r.log()) != 1 || made.CreatedAt.IsZero() || made.SecretChangedAt != made.CreatedAt {
			t.Errorf("declared as %+v, with %d requests", made, len(r.log()))
		}
		r.reload(declaring(declared(1)))
		if w := r.declaredAs(1); w.UpdatedAt != made.UpdatedAt || r.store.Calls("UpdateWebhook") != 0 {
			t.Errorf("declared again it is %+v", w)
		}
		other := declared(1)
		other.URL = "https://b.example"
		r.reload(declaring(other, declared(2)))
		if w := r.declaredAs(1); w.URL != other.URL || w.CreatedAt != made.CreatedAt || w.SecretChangedAt != made.SecretChangedAt || !w.UpdatedAt.After(made.UpdatedAt) {
			t.Errorf("declared in another way it is %+v", w)
		}
		r.reload(declaring(declared(2)))
		gone := r.declaredAs(1)
		if gone.WhyDisabled() != delivery.DisabledByConfig || r.declaredAs(2).WhyDisabled() != "" {
			t.Errorf("no longer declared it is %+v", gone)
		}
		r.reload(declaring(declared(2)))
		if w := r.declaredAs(1); w.DisabledAt != gone.DisabledAt {
			t.Errorf("disabled at %v, and then at %v", gone.DisabledAt, w.DisabledAt)
		}
		r.reload(declaring(declared(1)))
		if w := r.declaredAs(1); !w.Enabled || !w.DisabledAt.IsZero() || w.WhyDisabled() != "" {
			t.Errorf("declared again it is %+v", w)
		}
		time.Sleep(declaredRetention)
		r.reload(declaring())
		if _, err := r.Webhook(t.Context(), declaredRef(2)); !errors.Is(err, delivery.ErrNotFound) {
			t.Errorf("after its log has gone it is still there: %v", err)
		}
		if w := r.declaredAs(1); w.WhyDisabled() != delivery.DisabledByConfig {
			t.Errorf("one that was declared until now is %+v", w)
		}
	})
}

// TestDeclaredWhenSettled has settings come into force that are taken back: their webhooks are not
// made, and none is disabled meanwhile.
func TestDeclaredWhenSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok), func(s *delivery.Settings) { s.Webhooks = []delivery.Webhook{declared(1)} })
		defer r.stop()
		before, settled := r.declaredAs(1), make(chan bool, 2) // it fails, and does not hang, if nobody asks
		next := declaring(declared(2))
		next.Settled = func(ctx context.Context) bool {
			select {
			case stay := <-settled:
				return stay
			case <-ctx.Done():
				return false
			}
		}
		unchanged := func(when string) {
			synctest.Wait()
			if w := r.declaredAs(1); !w.Enabled || w.UpdatedAt != before.UpdatedAt {
				t.Errorf("%s it is %+v", when, w)
			}
			if _, err := r.Webhook(t.Context(), declaredRef(2)); !errors.Is(err, delivery.ErrNotFound) {
				t.Errorf("%s the other is there: %v", when, err)
			}
		}
		time.Sleep(time.Second)
		detach := r.Attach(next, nopLog)
		unchanged("before that is sure")
		settled <- false
		synctest.Wait()
		detach()
		unchanged("after they were taken back")
		detach = r.Attach(next, nopLog)
		settled <- true
		synctest.Wait()
		if r.declaredAs(2); r.declaredAs(1).Enabled {
			t.Error("the webhooks are not those of the settings that stay")
		}
		detach()
	})
}

// TestDeclaredIsEnabledAgain has a webhook that is declared disabled, and one whose endpoint had it
// disabled.
func TestDeclaredIsEnabledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		off := declared(2)
		off.Enabled, off.DisabledReason = false, delivery.DisabledByConfig
		settings := declaring(declared(1), off)
		settings.DisableOnGone = true
		r := run(t, flaky.New(), newEndpoints(status(410)), func(s *delivery.Settings) { *s = settings })
		defer r.stop()
		r.emit(1)
		synctest.Wait()
		if why := r.declaredAs(1).WhyDisabled(); why != delivery.DisabledGone {
			t.Fatalf("disabled for %q", why)
		}
		before := r.declaredAs(2)
		r.reload(settings)
		if w := r.declaredAs(1); !w.Enabled {
			t.Errorf("it stays disabled for %q", w.WhyDisabled())
		}
		if w := r.declaredAs(2); w.WhyDisabled() != delivery.DisabledByConfig || w.DisabledAt != before.DisabledAt || w.UpdatedAt != before.UpdatedAt {
			t.Errorf("the other was %+v and is %+v", before, w)
		}
	})
}

// TestDeclaredIsTheConfigurations: nobody else changes or deletes it, and it can be tested.
func TestDeclaredIsTheConfigurations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok), func(s *delivery.Settings) { s.Webhooks = []delivery.Webhook{declared(1)} })
		defer r.stop()
		before, ref := r.declaredAs(1), declaredRef(1)
		if _, err := r.ChangeWebhook(t.Context(), ref, func(w *delivery.Webhook) { w.URL = "https://b.example" }); !errors.Is(err, delivery.ErrDeclared) {
			t.Errorf("a change: %v", err)
		}
		if _, err := r.RotateSecret(t.Context(), ref, "t", 0); !errors.Is(err, delivery.ErrDeclared) {
			t.Errorf("a rotation: %v", err)
		}
		if err := r.DeleteWebhook(t.Context(), ref); !errors.Is(err, delivery.ErrDeclared) {
			t.Errorf("a deletion: %v", err)
		}
		if w := r.declaredAs(1); w.URL != before.URL || w.Secret != "s" || w.UpdatedAt != before.UpdatedAt {
			t.Errorf("it is %+v", w)
		}
		if _, err := r.Test(t.Context(), tenant, ref.ID, delivery.NewEvent{Type: "alert_active", Data: []byte(`{}`)}); err != nil {
			t.Error(err)
		}
	})
}

// TestDeclaredLater has the store refuse one of two: the other is there, health says so, and the
// first comes when the store takes it.
func TestDeclaredLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, refused := flaky.New(), false
		store.Fail(func(op string) error {
			if op == "CreateWebhook" && !refused {
				refused = true
				return delivery.ErrFull
			}
			if op == "DeclaredWebhooks" && refused {
				return delivery.ErrUnavailable
			}
			return nil
		})
		r := run(t, store, newEndpoints(ok), func(s *delivery.Settings) { s.Webhooks = []delivery.Webhook{declared(1), declared(2)} })
		defer r.stop()
		if _, err := r.Webhook(t.Context(), declaredRef(1)); !errors.Is(err, delivery.ErrNotFound) {
			t.Errorf("the refused one: %v", err)
		}
		r.declaredAs(2)
		time.Sleep(time.Minute)
		if err := r.Health(t.Context()); err == nil || !strings.Contains(err.Error(), "not all webhooks of the configuration are stored") {
			t.Errorf("health says %v", err)
		}
		store.Fail(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		r.declaredAs(1)
		if err := r.Health(t.Context()); err != nil {
			t.Errorf("health says %v", err)
		}
	})
}

// TestDeclaredIsAudited has what the configuration changes in the audit log.
func TestDeclaredIsAudited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		audited := func(webhooks ...delivery.Webhook) delivery.Settings {
			s := declaring(webhooks...)
			s.AuditOwn = func(by string, action delivery.Action) delivery.Audit {
				return func(_, _ *delivery.Webhook) *delivery.AuditEntry { return &delivery.AuditEntry{By: by, Action: action} }
			}
			return s
		}
		r := run(t, flaky.New(), newEndpoints(ok), func(s *delivery.Settings) { *s = audited(declared(1)) })
		defer r.stop()
		r.reload(audited(declared(1)))
		r.reload(audited())
		r.wantAudited("config webhook_changed", "config webhook_created")
		time.Sleep(declaredRetention)
		r.reload(audited())
		r.wantAudited("config webhook_deleted")
	})
}

// wantAudited reads the audit log, newest first.
func (r *running) wantAudited(want ...string) {
	r.t.Helper()
	page, err := r.AuditEntries(r.t.Context(), tenant, delivery.AuditFilter{Limit: 10})
	if err != nil {
		r.t.Fatal(err)
	}
	var got []string
	for _, a := range page.Entries {
		got = append(got, a.By+" "+string(a.Action))
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("audited as %q, want %q", got, want)
	}
}
