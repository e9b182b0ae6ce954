package caddymodule_test

import (
	"net/http"
	"testing"
)

// TestDashboardWithoutSlash asks for the page at its mount. What it loads is
// relative to the mount with a slash, so that is where a browser is sent to.
func TestDashboardWithoutSlash(t *testing.T) {
	s := startSite(t, siteConfig{webhooks: "store embedded " + t.TempDir(), more: `
	handle_path /open* {
		webhooks {
			insecure_no_auth
		}
	}`})
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for at, want := range map[string]string{"/open": "./open/", "//open": "./open/", "/open/": ""} {
		got, err := exchangeWith(client, http.MethodGet, "http://"+s.addr+at, "")
		if err != nil {
			t.Fatal(err)
		}
		if to := got.ResponseHeader.Get("Location"); to != want {
			t.Errorf("%s: %d leads to %q, want %q", at, got.Status, to, want)
		}
	}
}
