package caddymodule

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

func TestSettings(t *testing.T) {
	zero, week, none := caddy.Duration(0), caddy.Duration(7*24*time.Hour), int64(0)
	for _, tc := range []struct {
		name string
		app  App
		want func(*delivery.Settings)
	}{
		{"default", App{}, func(*delivery.Settings) {}},
		{"empty retry", App{Retry: &Retry{}}, func(*delivery.Settings) {}},
		{"attempts alone", App{Retry: &Retry{Attempts: 7}}, func(s *delivery.Settings) { s.Retry.Attempts = 7 }},
		{"delays alone", App{Retry: &Retry{Delays: []caddy.Duration{1, 2}}}, func(s *delivery.Settings) {
			s.Retry.Attempts, s.Retry.Delays = 3, []time.Duration{1, 2}
		}},
		{"one delay of many attempts", App{Retry: &Retry{Attempts: 9, Delays: []caddy.Duration{1}}}, func(s *delivery.Settings) {
			s.Retry.Attempts, s.Retry.Delays = 9, []time.Duration{1}
		}},
		{"zeros", App{Retry: &Retry{Delay: &zero, Jitter: &Jitter{}}, MaxResponseSize: &none}, func(s *delivery.Settings) {
			s.Retry.Delays, s.Retry.JitterMin, s.Retry.JitterMax, s.MaxResponseSize = []time.Duration{0}, 0, 0, 0
		}},
		{"little concurrency", App{Concurrency: 8}, func(s *delivery.Settings) { s.Concurrency, s.ConcurrencyPerWebhook = 8, 8 }},
		{"concurrency", App{Concurrency: 100, ConcurrencyPerWebhook: 10}, func(s *delivery.Settings) {
			s.Concurrency, s.ConcurrencyPerWebhook = 100, 10
		}},
		{"configured event types", App{EventTypes: []string{"a", "b"}}, func(*delivery.Settings) {}},
		{"any event type", App{EventTypes: []string{"*"}}, func(s *delivery.Settings) { s.AnyEventType = true }},
		{
			"the rest",
			App{StandardWebhooks: true, SignatureHeader: "X-Sig", Timeout: caddy.Duration(time.Second), Retention: caddy.Duration(2 * time.Hour)},
			func(s *delivery.Settings) {
				s.StandardWebhooks, s.SignatureHeader, s.Timeout, s.Retention = true, "X-Sig", time.Second, 2*time.Hour
				s.Retry.RetryAfter = 24 * time.Hour
			},
		},
		{"disabling", App{DisableOnGone: true, DisableAfter: week}, func(s *delivery.Settings) { s.DisableOnGone, s.DisableAfter = true, 7*24*time.Hour }},
		{"retry_after", App{Retry: &Retry{RetryAfter: &week}}, func(s *delivery.Settings) { s.Retry.RetryAfter = 7 * 24 * time.Hour }},
		{"no retry_after", App{StandardWebhooks: true, Retry: &Retry{RetryAfter: &zero}}, func(s *delivery.Settings) { s.StandardWebhooks = true }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.app.resolve(caddy.NewReplacer()); err != nil {
				t.Fatal(err)
			}
			want := delivery.DefaultSettings()
			tc.want(&want)
			got := tc.app.settings
			if !reflect.DeepEqual(got.Retry, want.Retry) || got.Timeout != want.Timeout || got.Concurrency != want.Concurrency ||
				got.ConcurrencyPerWebhook != want.ConcurrencyPerWebhook || got.Retention != want.Retention ||
				got.MaxResponseSize != want.MaxResponseSize || got.StandardWebhooks != want.StandardWebhooks ||
				got.SignatureHeader != want.SignatureHeader || got.AnyEventType != want.AnyEventType ||
				got.DisableOnGone != want.DisableOnGone || got.DisableAfter != want.DisableAfter {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestSettingsErrors(t *testing.T) {
	t.Setenv("WEBHOOKS_TEST_EMPTY", "")
	t.Setenv("WEBHOOKS_TEST_CIDR", "10.0.0.0/99")
	notPEM := filepath.Join(t.TempDir(), "not.pem")
	if err := os.WriteFile(notPEM, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, app := range map[string]App{
		"retry attempts must be":                                                    {Retry: &Retry{Attempts: -1}},
		"retry takes delay or delays, not both":                                     {Retry: &Retry{Delay: new(caddy.Duration), Delays: []caddy.Duration{1}}},
		"retry delays must be 1 to 30, not 31":                                      {Retry: &Retry{Delays: make([]caddy.Duration, 31)}},
		"disable_after (336h0m1s) must not be longer than the retention (336h0m0s)": {DisableAfter: caddy.Duration(14*24*time.Hour + time.Second)},
		"timeout must be":                                                           {Timeout: -1},
		"max_event_size must be":                                                    {MaxEventSize: -1},
		"signature_header is empty":                                                 {SignatureHeader: "{env.WEBHOOKS_TEST_EMPTY}"},
		"signature_header must be the name":                                         {SignatureHeader: "a:b"},
		"event_types: one is empty":                                                 {EventTypes: []string{"{env.WEBHOOKS_TEST_EMPTY}"}},
		"event_types: 'a' is given twice":                                           {EventTypes: []string{"a", "a"}},
		"destinations: allow: '10.0.0.0/99' is not":                                 {Destinations: &Destinations{Allow: []string{"{env.WEBHOOKS_TEST_CIDR}"}}},
		"destinations: deny: a range is empty":                                      {Destinations: &Destinations{Deny: []string{""}}},
		"destinations: nat64: a prefix is empty":                                    {Destinations: &Destinations{NAT64: []string{""}}},
		"destinations: nat64: '2001:db8::/96' overlaps":                             {Destinations: &Destinations{NAT64: []string{"2001:db8::/64", "2001:db8::/96"}}},
		"destinations: proxy is empty":                                              {Destinations: &Destinations{Proxy: "{env.WEBHOOKS_TEST_EMPTY}"}},
		"destinations: proxy is not a URL":                                          {Destinations: &Destinations{Proxy: "http://:hush@proxy:x"}},
		"destinations: trusted_ca: open /does/not/exist":                            {Destinations: &Destinations{TrustedCA: []string{"/does/not/exist"}}},
		"encryption_key: a key is empty":                                            {EncryptionKeys: []string{"{env.WEBHOOKS_TEST_EMPTY}"}},
		"encryption_key: a key must be 32 bytes":                                    {EncryptionKeys: []string{"hush"}},
		"encrypt_payloads needs an encryption_key":                                  {EncryptPayloads: true},
		"encryption_key: the same key is given twice":                               {EncryptionKeys: []string{strings.Repeat("ab", 32), strings.Repeat("AB", 32)}},
		"there is no certificate (PEM) in":                                          {Destinations: &Destinations{TrustedCA: []string{notPEM}}},
	} {
		err := app.resolve(caddy.NewReplacer())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// caFile writes the certificate of a test server where trusted_ca can read it.
func caFile(t *testing.T, server *httptest.Server) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTrustedCA(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	d := &Destinations{TrustedCA: []string{caFile(t, server)}}
	if got, err := d.resolve(caddy.NewReplacer()); err != nil || got.TrustedCAs == nil {
		t.Errorf("got %v, %v", got.TrustedCAs, err)
	}
}
