package caddymodule

import (
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/google/uuid"
)

// TestDeclaredWebhookErrors has declarations that keep Caddy from loading a configuration. Each
// error names the webhook and the member, and shows no secret.
func TestDeclaredWebhookErrors(t *testing.T) {
	t.Setenv("WEBHOOKS_TEST_EMPTY", "")
	const url = "https://a.example"
	for _, tc := range []struct {
		want     string
		webhooks []Webhook
	}{
		{"webhook : name is empty", []Webhook{{URL: url}}},
		{"webhook a: url is empty", []Webhook{{Name: "a"}}},
		{"the name must have 1 to 128 bytes", []Webhook{{Name: strings.Repeat("a", 129), URL: url}}},
		{"webhook a: it is declared twice", []Webhook{{Name: "a", URL: url}, {Name: "a", Tenant: "default", URL: url}}},
		{"webhook a: tenant must have 1 to 128 of the characters", []Webhook{{Name: "a", Tenant: "a/b", URL: url}}},
		{"webhook a: url: The URL must begin with https://", []Webhook{{Name: "a", URL: "http://a.example"}}},
		{"webhook a: secret is empty: {env.WEBHOOKS_TEST_EMPTY} has no value", []Webhook{{Name: "a", URL: url, Secret: "{env.WEBHOOKS_TEST_EMPTY}"}}},
		{"webhook a: secret: ", []Webhook{{Name: "a", URL: url, Secret: strings.Repeat("hush", 1000)}}},
		{"webhook a: event_types.0: ", []Webhook{{Name: "a", URL: url, EventTypes: []string{"nothing_configured"}}}},
		{"webhook a: filter: ", []Webhook{{Name: "a", URL: url, Filter: "data.("}}},
		{"webhook a: order_by: ", []Webhook{{Name: "a", URL: url, OrderBy: "1"}}},
		{"webhook a: timeout: This must be 1s to 1m.", []Webhook{{Name: "a", URL: url, Timeout: 1}}},
		{"webhook a: headers.Host: ", []Webhook{{Name: "a", URL: url, Headers: map[string]string{"Host": "b"}}}},
		{"webhook a: authorization.token: ", []Webhook{{Name: "a", URL: url, Authorization: &WebhookAuthorization{Type: "bearer"}}}},
		{"webhook a: rate_limit.requests: This must be 1 to 100000.", []Webhook{{Name: "a", URL: url, RateLimit: &WebhookRateLimit{Per: 1e9}}}},
		{"webhook a: rate_limit.per: This must be 1s to 1d, in whole milliseconds.", []Webhook{{Name: "a", URL: url, RateLimit: &WebhookRateLimit{Requests: 1}}}},
		{"webhook a: retry.attempts: ", []Webhook{{Name: "a", URL: url, Retry: &WebhookRetry{Attempts: 1000}}}},
		{"webhook a: client_certificate certificate open /does/not/exist", []Webhook{{Name: "a", URL: url, ClientCertificate: &WebhookCertificate{"/does/not/exist", "/does/not/exist"}}}},
		{"webhook a: headers: X-A and x-a are the same header", []Webhook{{Name: "a", URL: url, Headers: map[string]string{"X-A": "1", "x-a": "2"}}}},
		{"a configuration can declare 1000 webhooks, not 1001", make([]Webhook, 1001)},
	} {
		app := App{Webhooks: tc.webhooks}
		err := app.resolve(caddy.NewReplacer())
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
}

// TestDeclaredWebhookIDs holds ids, which must stay the same from version to version: the version 5
// UUIDs of tenant and name in the namespace of URLs.
func TestDeclaredWebhookIDs(t *testing.T) {
	app := App{Webhooks: []Webhook{{Name: "shop", URL: "https://a.example"}, {Name: "Berlin office", Tenant: "berlin", URL: "https://a.example"}}}
	if err := app.resolve(caddy.NewReplacer()); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"default/shop", "berlin/Berlin office"} {
		want := uuid.NewSHA1(uuid.MustParse("6ba7b811-9dad-11d1-80b4-00c04fd430c8"), []byte(name))
		if w := app.settings.Webhooks[i]; w.ID != want || w.ID.Version() != 5 || !w.Declared {
			t.Errorf("%s is %+v", name, w)
		}
	}
	if got := app.settings.Webhooks[0].ID.String(); got != shopID {
		t.Errorf("shop of default has the id %s", got)
	}
}

// shopID is the id of the webhook `shop` of the default tenant.
const shopID = "125b58a7-336d-5c16-9138-093374174934"

// TestDeclaredWebhookFiles reads a certificate from files that placeholders name.
func TestDeclaredWebhookFiles(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("WEBHOOKS_TEST_DIR", dir)
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	cert := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"client.pem": {Type: "CERTIFICATE", Bytes: cert.Certificate[0]}, "key.pem": {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	app := App{Webhooks: []Webhook{{
		Name: "a", URL: "https://a.example",
		ClientCertificate: &WebhookCertificate{"{env.WEBHOOKS_TEST_DIR}/client.pem", "{env.WEBHOOKS_TEST_DIR}/key.pem"},
	}}}
	if err := app.resolve(caddy.NewReplacer()); err != nil {
		t.Fatal(err)
	}
	if c := app.settings.Webhooks[0].ClientCertificate; c == nil || !strings.Contains(c.PrivateKey, "PRIVATE KEY") {
		t.Errorf("the certificate is %+v", c)
	}
}
