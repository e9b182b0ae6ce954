package storetest

import (
	"slices"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// testDeclaredWebhooks has some webhooks among others that the configuration made, also after a
// change and after others were deleted.
func testDeclaredWebhooks(f *fixture) {
	f.wantDeclared()
	f.webhook(tenant)
	first, second, third := f.declared(tenant), f.declared("other"), f.declared(tenant)
	f.wantDeclared(first, second, third)
	f.update(second, func(w *delivery.Webhook) { w.Enabled, w.DisabledReason = false, delivery.DisabledByConfig })
	f.must(f.store.DeleteWebhook(f.Context(), first.Ref()))
	f.wantDeclared(second, third)
}

func (f *fixture) declared(tenant string) *delivery.Webhook {
	f.Helper()
	w := f.newWebhook(tenant)
	w.Declared = true
	f.must(f.store.CreateWebhook(f.Context(), w, delivery.MaxWebhooks))
	return w
}

func (f *fixture) wantDeclared(want ...*delivery.Webhook) {
	f.Helper()
	got, err := f.store.DeclaredWebhooks(f.Context())
	f.must(err)
	if len(got) != len(want) {
		f.Errorf("%d webhooks are declared, want %d", len(got), len(want))
	}
	for _, w := range want {
		if !slices.Contains(got, w.Ref()) {
			f.Errorf("%v is not declared", w.Ref())
		}
		if one, _, err := f.store.Webhook(f.Context(), w.Ref()); err != nil || !one.Declared {
			f.Errorf("%v reads as %+v, %v", w.Ref(), one, err)
		}
	}
}
