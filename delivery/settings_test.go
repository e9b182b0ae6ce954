package delivery

import (
	"fmt"
	"net/url"
	"reflect"
	"testing"
	"time"
)

func TestDefaultSettingsAreTheContracts(t *testing.T) {
	s := DefaultSettings()
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	switch {
	case s.SignatureHeader != "X-Level-Signature", s.StandardWebhooks:
		t.Errorf("signatures: %+v", s)
	case !reflect.DeepEqual(s.Retry, RetryPolicy{3, []time.Duration{2 * time.Minute}, time.Second, 60 * time.Second, 0}):
		t.Errorf("retry: %+v", s.Retry)
	case s.Timeout != 15*time.Second, s.Concurrency != 512, s.ConcurrencyPerWebhook != 32:
		t.Errorf("limits: %+v", s)
	case s.Retention != 14*24*time.Hour, s.MaxResponseSize != 16<<10:
		t.Errorf("log: %+v", s)
	case s.Destinations.AllowHTTP, s.Destinations.Allow != nil, s.Destinations.Deny != nil:
		t.Errorf("destinations: %+v", s.Destinations)
	}
}

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Settings)
		want   string
	}{
		{"no header", func(s *Settings) { s.SignatureHeader = "" }, "signature_header is empty"},
		{"no attempts", func(s *Settings) { s.Retry.Attempts = 0 }, "retry attempts must be 1 to 100, not 0"},
		{"too many attempts", func(s *Settings) { s.Retry.Attempts = 101 }, "retry attempts must be 1 to 100, not 101"},
		{"one attempt", func(s *Settings) { s.Retry.Attempts = 1 }, ""},
		{"a delay before", func(s *Settings) { s.Retry.Delays = []time.Duration{-1} }, "retry delay must be 0 to 168h0m0s, not -1ns"},
		{"a delay beyond", func(s *Settings) { s.Retry.Delays = []time.Duration{0, 169 * time.Hour} }, "retry delay must be 0 to 168h0m0s, not 169h0m0s"},
		{"no delay", func(s *Settings) { s.Retry.Delays = []time.Duration{0} }, ""},
		{"30 delays", func(s *Settings) { s.Retry.Delays = make([]time.Duration, 30) }, ""},
		{"31 delays", func(s *Settings) { s.Retry.Delays = make([]time.Duration, 31) }, "retry delays must be 1 to 30, not 31"},
		{"no delays", func(s *Settings) { s.Retry.Delays = nil }, "retry delays must be 1 to 30, not 0"},
		{"retry_after before", func(s *Settings) { s.Retry.RetryAfter = -1 }, "retry retry_after must be 0 to 168h0m0s, not -1ns"},
		{"retry_after beyond", func(s *Settings) { s.Retry.RetryAfter = 169 * time.Hour }, "retry retry_after must be 0 to 168h0m0s, not 169h0m0s"},
		{"jitter before", func(s *Settings) { s.Retry.JitterMin = -time.Second }, "retry jitter must lie within 0 and 168h0m0s"},
		{"jitter beyond", func(s *Settings) { s.Retry.JitterMax = 169 * time.Hour }, "retry jitter must lie within 0 and 168h0m0s"},
		{
			"jitter backwards", func(s *Settings) { s.Retry.JitterMin, s.Retry.JitterMax = 60*time.Second, time.Second },
			"retry jitter must go from the shorter duration to the longer, not from 1m0s to 1s",
		},
		{"no timeout", func(s *Settings) { s.Timeout = 0 }, "timeout must be more than 0 and at most 10m0s, not 0s"},
		{"a timeout before", func(s *Settings) { s.Timeout = -time.Second }, "timeout must be more than 0 and at most 10m0s, not -1s"},
		{"a timeout beyond", func(s *Settings) { s.Timeout = time.Hour }, "timeout must be more than 0 and at most 10m0s, not 1h0m0s"},
		{
			"one request at a time", func(s *Settings) { s.Concurrency, s.ConcurrencyPerWebhook = 1, 1 },
			"concurrency in all must be 2 to 65536, not 1",
		},
		{"two requests at a time", func(s *Settings) { s.Concurrency, s.ConcurrencyPerWebhook = 2, 2 }, ""},
		{"too many requests", func(s *Settings) { s.Concurrency = 65_537 }, "concurrency in all must be 2 to 65536, not 65537"},
		{"none per webhook", func(s *Settings) { s.ConcurrencyPerWebhook = 0 }, "concurrency per webhook must be at least 1, not 0"},
		{"more per webhook than in all", func(s *Settings) { s.Concurrency = 16 }, "concurrency per webhook (32) must not be more than in all (16)"},
		{"a short retention", func(s *Settings) { s.Retention = time.Minute }, "retention must be 1h0m0s to 43920h0m0s, not 1m0s"},
		{"a long retention", func(s *Settings) { s.Retention = 50_000 * time.Hour }, "retention must be 1h0m0s to 43920h0m0s, not 50000h0m0s"},
		{"a response before nothing", func(s *Settings) { s.MaxResponseSize = -1 }, "max_response_size must be 0 to 16777216 bytes, not -1"},
		{"a response too long", func(s *Settings) { s.MaxResponseSize = 1 << 30 }, "max_response_size must be 0 to 16777216 bytes, not 1073741824"},
		{
			"a proxy of another protocol", func(s *Settings) { s.Destinations.Proxy = &url.URL{Scheme: "ftp", Host: "proxy.example"} },
			"destinations: proxy must be an http, https or socks5 URL",
		},
		{"no response kept", func(s *Settings) { s.MaxResponseSize = 0 }, ""},
		{
			"all that is wrong", func(s *Settings) { s.SignatureHeader, s.Timeout = "", 0 },
			"signature_header is empty\ntimeout must be more than 0 and at most 10m0s, not 0s",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := DefaultSettings()
			tc.change(&s)
			got := ""
			if err := s.Validate(); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}

// TestSignatureHeaderOfOthers gives the signature a header that requests have already, or none.
func TestSignatureHeaderOfOthers(t *testing.T) {
	for _, name := range []string{"X:", "authorization", "User-Agent", "Webhook-Signature", "Content-Type"} {
		s := DefaultSettings()
		s.SignatureHeader = name
		if err := s.Validate(); err == nil || err.Error() != fmt.Sprintf("signature_header must be the name of a header that has no other use in requests, not %q", name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
