package sender

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A URL goes over the wire in one spelling, whatever was typed.
func TestParseURL(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ typed, host, uri string }{
		{"https://hooks.example", "hooks.example", "/"},
		{"https://HOOKS.Example:8443/A", "hooks.example:8443", "/A"},
		{"https://hooks.example.:/", "hooks.example.:", "/"},
		{"https://under_score.-a-.example/", "under_score.-a-.example", "/"},
		{"https://xn--MNCHEN-3ya.test/", "xn--mnchen-3ya.test", "/"},
		{"https://[FE80::1%25Eth0]:8443/", "[FE80::1%Eth0]:8443", "/"},
		{"https://127.0.0.1:80/", "127.0.0.1:80", "/"},

		{"https://MÜNCHEN.test/", "xn--mnchen-3ya.test", "/"},
		{"https://MU\u0308NCHEN.test:8443/", "xn--mnchen-3ya.test:8443", "/"},
		{"https://m%C3%BCnchen.test/", "xn--mnchen-3ya.test", "/"},
		{"https://münchen。test．/", "xn--mnchen-3ya.test.", "/"},
		{"https://ＨＯＯＫＳ.example/", "hooks.example", "/"},
		{"https://１２７.０.０.１/", "127.0.0.1", "/"},
		{"https://straße.example/", "xn--strae-oqa.example", "/"},
		{"https://ünder_score.a--b.example/", "xn--nder_score-8db.a--b.example", "/"},
		{"https://i❤.example/", "xn--i-7iq.example", "/"},

		{"https://a.example/a%2Fb/ü", "a.example", "/a%2Fb/%C3%BC"},
		{"https://a.example/a%2Bb%3Bc%40/{x}", "a.example", "/a%2Bb%3Bc%40/%7Bx%7D"},
		{"https://a.example/a%2fb/%7bx%7d/ü", "a.example", "/a%2fb/%7bx%7d/%C3%BC"},
		{`https://a.example/"<>\^|` + "`", "a.example", "/%22%3C%3E%5C%5E%7C%60"},
		{"https://a.example/../a//b/;c[]?", "a.example", "/../a//b/;c[]?"},
		{"https://a.example?q=ü&r=%fc", "a.example", "/?q=%C3%BC&r=%fc"},
		{`https://a.example/?a[]=1&b={"c":1}&d=%zz|e/?:@`, "a.example", "/?a[]=1&b=%7B%22c%22:1%7D&d=%zz%7Ce/?:@"},
		{"https://a.example/\xff?\xff", "a.example", "/%FF?%FF"},
	} {
		u, err := parseURL(tc.typed)
		if err != nil {
			t.Errorf("%s: %v", tc.typed, err)
			continue
		}
		if got := u.RequestURI(); u.Host != tc.host || got != tc.uri {
			t.Errorf("%s: got %s and %s, not %s and %s", tc.typed, u.Host, got, tc.host, tc.uri)
		}
		again, err := parseURL(u.String())
		if err != nil || again.Host != tc.host || again.RequestURI() != tc.uri {
			t.Errorf("%s: parsed again it is %v, %v", tc.typed, again, err)
		}
	}
}

// What an endpoint is told of the URL is the same over each protocol, and is what the
// name was looked up and the certificate checked by.
func TestURLOnEachWay(t *testing.T) {
	ca := newAuthority(t)
	const host = "xn--mnchen-3ya.test"
	type seen struct{ host, uri, sni string }
	received := make(chan seen, 1)
	handler := func(w http.ResponseWriter, r *http.Request) {
		s := seen{host: r.Host, uri: r.RequestURI}
		if r.TLS != nil {
			s.sni = r.TLS.ServerName
		}
		received <- s
		w.WriteHeader(http.StatusNoContent)
	}
	cert := ca.issue(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{host}, nil })
	http2 := serveTLS(t, cert, handler)
	http1 := httptest.NewUnstartedServer(http.HandlerFunc(handler))
	http1.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	http1.StartTLS()
	defer http1.Close()
	plain := httptest.NewServer(http.HandlerFunc(handler))
	defer plain.Close()
	dnsZone(t, map[string][]string{host: {"127.0.0.1"}})

	const typed, spelled = "/a%2Fb/{ü}?q=ü&r=%2f", "/a%2Fb/%7B%C3%BC%7D?q=%C3%BC&r=%2f"
	for _, server := range []struct{ name, url, sni string }{
		{"HTTP/1.1", plain.URL, ""}, {"HTTP/1.1 over TLS", http1.URL, host}, {"HTTP/2", http2.URL, host},
	} {
		for _, proxied := range []bool{false, true} {
			name := server.name
			if proxied {
				name += " through a proxy"
			}
			t.Run(name, func(t *testing.T) {
				s := newSender(t, trusting(ca), func(c *Config) {
					if proxied {
						c.Destinations.Proxy = newConnectProxy(t, http.StatusOK, nil).url
					}
				})
				scheme, address, _ := strings.Cut(server.url, "://")
				_, port, _ := net.SplitHostPort(address)
				for _, spelling := range []string{"MÜNCHEN.test", "münchen。TEST", "mu\u0308nchen.test", "xn--MNCHEN-3YA.test"} {
					if r := s.Send(t.Context(), message(scheme+"://"+spelling+":"+port+typed)); r.StatusCode != 204 {
						t.Fatalf("%s: %+v", spelling, r)
					}
					got := <-received
					got.uri = strings.TrimPrefix(got.uri, "http://"+host+":"+port) // as proxies are asked
					if want := (seen{host + ":" + port, spelled, server.sni}); got != want {
						t.Errorf("%s: the endpoint saw %+v, not %+v", spelling, got, want)
					}
				}
				if n := len(s.pool.endpoints); n != 1 {
					t.Errorf("the pool knows %d endpoints", n)
				}
			})
		}
	}
}
