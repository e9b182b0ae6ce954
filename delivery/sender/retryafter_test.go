package sender

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestRetryAfter has endpoints of each protocol, and behind a proxy, say when to try again: only
// failures bring it along.
func TestRetryAfter(t *testing.T) {
	ca := newAuthority(t)
	handler := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Retry-After", "120")
		if r.URL.Path == "/fails" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}
	plain, secure := httptest.NewServer(http.HandlerFunc(handler)), serveTLS(t, ca.issue(), handler)
	defer plain.Close()
	direct := newSender(t, trusting(ca))
	proxied := newSender(t, trusting(ca), func(c *Config) { c.Destinations.Proxy = newConnectProxy(t, http.StatusOK, nil).url })
	chunked := serve(t, answering("HTTP/1.1 429 No\r\nRetry-After: 120\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
	for name, tc := range map[string]struct {
		sender *Sender
		url    string
		want   string
	}{
		"HTTP/1.1":             {direct, plain.URL + "/fails", "120"},
		"HTTP/1.1, chunked":    {direct, "http://" + chunked, "120"},
		"HTTP/1.1, success":    {direct, plain.URL, ""},
		"HTTP/2":               {direct, secure.URL + "/fails", "120"},
		"HTTP/2, success":      {direct, secure.URL, ""},
		"through a proxy":      {proxied, plain.URL + "/fails", "120"},
		"success, by a proxy":  {proxied, plain.URL, ""},
		"after one that fails": {direct, plain.URL, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if r := tc.sender.Send(t.Context(), message(tc.url)); r.RetryAfter != tc.want || r.Failure != "" {
				t.Errorf("%+v", r)
			}
		})
	}
}
