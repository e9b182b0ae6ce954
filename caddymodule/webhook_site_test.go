package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// shopID is the id of the webhook `shop` of the default tenant.
const shopID = "125b58a7-336d-5c16-9138-093374174934"

// TestDeclaredWebhook declares a webhook in the Caddyfile. It gets events, cannot be changed by
// the API, follows reloads, and is disabled when it is taken out.
func TestDeclaredWebhook(t *testing.T) {
	for name, store := range map[string]string{
		"embedded": "embedded " + t.TempDir(), "redis": "redis redis://" + redistest.Start(t).Addr,
	} {
		t.Run(name, func(t *testing.T) { testDeclaredWebhook(t, store) })
	}
}

func testDeclaredWebhook(t *testing.T, store string) {
	endpoint := newReceiver(t)
	t.Setenv("WEBHOOKS_TEST_SECRET", "hush-hush-hush")
	with := func(more string) siteConfig {
		return siteConfig{webhooks: endpoint.configOf(store) + more}
	}
	shop := func(path string) siteConfig {
		return with("\nwebhook shop {\nurl " + endpoint.URL + path + "\nsecret {env.WEBHOOKS_TEST_SECRET}\nheader X-Shop 1\nfilter `data.n > 1`\n}")
	}
	s := startSite(t, shop("/one"))
	const path = "api/webhooks/" + shopID
	get := func() (w webhook) {
		t.Helper()
		s.admin(http.MethodGet, path, "").want(t, http.StatusOK, &w)
		return w
	}
	eventually(t, "the webhook", func() bool { return s.admin(http.MethodGet, path, "").status == http.StatusOK })
	s.emit(`[{"event_type":"alert_active","data":{"n":1}},{"event_type":"alert_active","data":{"n":2}}]`).want(t, http.StatusAccepted, nil)
	if got := endpoint.next(t); got.path != "/one" || got.header.Get("X-Shop") != "1" || got.header.Get("X-Level-Signature") == "" || !strings.Contains(string(got.body), `"n":2`) {
		t.Errorf("sent %+v", got)
	}
	before := get()
	if before.Source != "config" || !before.HasSecret || !before.Enabled {
		t.Errorf("declared as %+v", before)
	}
	for _, call := range [][3]string{
		{http.MethodPatch, path, `{"enabled":false}`}, {http.MethodDelete, path, ""}, {http.MethodPost, path + "/rotate-secret", "{}"},
	} {
		if p := s.admin(call[0], call[1], call[2]).wantProblem(t, http.StatusConflict); !strings.Contains(p.Detail, "configuration") {
			t.Errorf("%s: %+v", call[0], p)
		}
	}
	if w := get(); w.UpdatedAt != before.UpdatedAt {
		t.Errorf("refused changes left %+v", w)
	}
	load := func(c siteConfig) {
		t.Helper()
		if err := s.load(c); err != nil {
			t.Fatal(err)
		}
	}
	load(shop("/two"))
	eventually(t, "the other URL", func() bool { return strings.HasSuffix(get().URL, "/two") })
	load(with(""))
	eventually(t, "the webhook to be disabled", func() bool { return !get().Enabled })
	if w := get(); *w.DisabledReason != "config" || w.Source != "config" {
		t.Errorf("taken out it is %+v", w)
	}
	load(shop("/two"))
	eventually(t, "the webhook to be enabled", func() bool { return get().Enabled })
}
