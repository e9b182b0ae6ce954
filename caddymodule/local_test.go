package caddymodule_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// startOpenSite starts a site without authentication that has several names, and takes the
// PROXY protocol, by which a test can be another machine.
func startOpenSite(t *testing.T, handler string) *caddySite {
	t.Helper()
	s := startSite(t, siteConfig{noApp: true})
	s.addr = freeAddr(t)
	_, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	const proxies = "servers {\n\t\tlistener_wrappers {\n\t\t\tproxy_protocol {\n\t\t\t\tallow 127.0.0.0/8\n\t\t\t}\n\t\t}\n\t}"
	text := s.caddyfile(siteConfig{webhooks: "store embedded " + t.TempDir(), handler: handler, global: proxies})
	site := "http://" + s.addr + " {"
	names := fmt.Sprintf("http://%s, http://*.hooks.test:%s, http://named.test:%s {", s.addr, port, port)
	text = strings.Replace(text, site, names, 1) + fmt.Sprintf("http://:%s {\n\thandle_path /hooks/* {\n\t\twebhooks {\n%s\n\t\t}\n\t}\n}\n", port, handler)
	if err := caddy.Load(adaptFile(t, text), true); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	s.ready()
	return s
}

// statusFor is the status of a GET of the API with some lines in its head, from an address.
func (s *caddySite) statusFor(from, path string, head ...string) (status, body string) {
	s.t.Helper()
	proxied := ""
	if from != "" {
		proxied = "PROXY TCP4 " + from + " 127.0.0.1 1234 80\r\n"
	}
	conn := s.dial(proxied + "GET /hooks/api/" + path + " HTTP/1.1\r\n" + strings.Join(head, "\r\n") + "\r\nConnection: close\r\n\r\n")
	defer conn.Close()
	answer, err := io.ReadAll(conn)
	if err != nil {
		s.t.Fatal(err)
	}
	_, answered, _ := strings.Cut(string(answer), " ")
	return answered[:3], answered
}

// TestNoAuthOnThisMachine calls a site without authentication from here and elsewhere, by
// its own names and by others.
func TestNoAuthOnThisMachine(t *testing.T) {
	s := startOpenSite(t, "insecure_no_auth\nemit_token "+emitToken)
	const elsewhere, proxy, other = "only callers on this machine", "comes by a proxy", "only calls to localhost"
	for name, tc := range map[string]struct {
		from, host string
		head       string
		refused    string
	}{
		"loopback":                        {host: "127.0.0.1"},
		"another one":                     {host: "127.1.2.3:80"},
		"loopback of IPv6":                {host: "[::1]:80"},
		"mapped":                          {host: "[::ffff:127.0.0.1]"},
		"localhost":                       {host: "localhost:8080"},
		"LOCALHOST.":                      {host: "LOCALHOST."},
		"name of localhost":               {host: "hooks.localhost"},
		"name of the site":                {host: "Named.Test:80"},
		"pattern of the site":             {host: "acme.hooks.test"},
		"rebound":                         {host: "evil.example", refused: other},
		"rebound, to look like localhost": {host: "localhost.evil.example", refused: other},
		"rebound, without a dot":          {host: "notlocalhost", refused: other},
		"rebound, with an address in it":  {host: "127.0.0.1.evil.example", refused: other},
		"rebound, below a pattern":        {host: "a.b.hooks.test", refused: other},
		"an address of this machine":      {host: "192.0.2.1", refused: other},
		"any address":                     {host: "0.0.0.0", refused: other},
		"another machine":                 {from: "192.0.2.1", host: "localhost", refused: elsewhere},
		"another machine, by a name":      {from: "192.0.2.1", host: "named.test", refused: elsewhere},
		"this machine by PROXY":           {from: "127.0.0.9", host: "localhost"},
		"a proxy":                         {host: "localhost", head: "X-Forwarded-For: 192.0.2.1", refused: proxy},
		"a proxy for this machine":        {host: "localhost", head: "x-forwarded-for: 127.0.0.1", refused: proxy},
		"a proxy by RFC 7239":             {host: "localhost", head: "Forwarded: for=192.0.2.1", refused: proxy},
	} {
		t.Run(name, func(t *testing.T) {
			head := []string{"Host: " + tc.host}
			if tc.head != "" {
				head = append(head, tc.head)
			}
			want, offer := "200", ""
			if tc.refused != "" {
				want, offer = "401", "Www-Authenticate: Basic" // so that a browser asks for a token
			}
			got, answer := s.statusFor(tc.from, "webhooks", head...)
			if got != want || !strings.Contains(answer, tc.refused) || !strings.Contains(answer, offer) {
				t.Errorf("want %s, %q: %s", want, tc.refused, answer)
			}
			if got, answer := s.statusFor(tc.from, "health", head...); got != "200" {
				t.Errorf("health: %s", answer)
			}
			if tc.refused == "" {
				return
			}
			// A token still says who somebody is.
			if got, answer := s.statusFor(tc.from, "event-types", append(head, "Authorization: Bearer "+emitToken)...); got != "200" {
				t.Errorf("with a token: %s", answer)
			}
			got, answer = s.statusFor(tc.from, "webhooks", append(head, "Authorization: Bearer "+emitToken)...)
			if got != "403" || !strings.Contains(answer, "an emit token may only emit events") {
				t.Errorf("with a token that is not enough: %s", answer)
			}
		})
	}
	s.do(http.MethodGet, "/hooks/api/webhooks", "").want(t, http.StatusOK, nil)
}

// TestNoAuthWithoutTokens calls a site from elsewhere that has no token that anyone could send.
func TestNoAuthWithoutTokens(t *testing.T) {
	s := startOpenSite(t, "insecure_no_auth")
	for advice, call := range map[string][]string{
		"configure a token for others":    {"192.0.2.1", "Host: localhost"},
		"call this site directly":         {"", "Host: localhost", "Forwarded: for=192.0.2.1"},
		"call that, or configure a token": {"", "Host: evil.example"},
	} {
		got, answer := s.statusFor(call[0], "webhooks", call[1:]...)
		if got != "403" || !strings.Contains(answer, advice) || strings.Contains(answer, "Www-Authenticate") {
			t.Errorf("want 403, %q: %s", advice, answer)
		}
	}
}
