package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestSecondCaddy starts a Caddy on a folder that another one has: it says so, and
// goes on by itself when the other is gone.
func TestSecondCaddy(t *testing.T) {
	endpoint := newReceiver(t)
	store := "embedded " + t.TempDir()
	first := newCrasher(t, endpoint, store)
	first.start()
	second := startSite(t, siteConfig{webhooks: endpoint.configOf(store)})
	eventually(t, "health to say why", func() bool {
		got := second.admin(http.MethodGet, "api/health", "")
		return strings.Contains(got.wantProblem(t, http.StatusServiceUnavailable).Detail, "another process has")
	})
	second.emit(`{"event_type":"group_created","data":{}}`).wantProblem(t, http.StatusServiceUnavailable)
	first.kill()
	second.ready()
	second.emit(`{"event_type":"group_created","data":{}}`).want(t, http.StatusAccepted, nil)
}
