package sender

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// connectProxy is a proxy that makes connections, and notes what it was asked for.
type connectProxy struct {
	url    *url.URL
	status int // the answer to all requests; with 200 it connects
	asked  chan string
	// waitsFor is an address for which it neither connects nor answers.
	waitsFor string
}

// newConnectProxy starts a proxy. If it has a TLS configuration, it is one of https.
func newConnectProxy(t *testing.T, status int, secure *tls.Config) *connectProxy {
	t.Helper()
	p := &connectProxy{status: status, asked: make(chan string, 100)}
	p.url = &url.URL{Scheme: "http", Host: serve(t, func(conn net.Conn) {
		if secure != nil {
			conn = tls.Server(conn, secure)
		}
		in := bufio.NewReader(conn)
		request, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		p.asked <- request.Method + " " + request.RequestURI
		if p.status != 200 {
			_, _ = io.WriteString(conn, fmt.Sprintf("HTTP/1.1 %d No\r\n\r\n", p.status))
			return
		}
		if p.waitsFor != "" && request.Host == p.waitsFor {
			_, _ = io.Copy(io.Discard, conn)
			return
		}
		var dialer net.Dialer
		onward, err := dialer.DialContext(t.Context(), "tcp", request.Host)
		if err != nil {
			return
		}
		defer func() { _ = onward.Close() }()
		if request.Method == http.MethodConnect {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		} else if err := request.Write(onward); err != nil {
			return
		}
		go func() {
			_, _ = io.Copy(onward, in)
			_ = onward.Close()
		}()
		_, _ = io.Copy(conn, onward)
	})}
	return p
}

// proxyTest is a request through a proxy, and what the proxy is asked for.
type proxyTest struct {
	name, url, allow string
	want             Response
	asked            string
}

// allowedThroughProxy are requests that a proxy makes, to the addresses of a server with
// and of one without TLS.
func allowedThroughProxy(secure, plain string) []proxyTest {
	overHTTP1, overHTTP2 := Response{StatusCode: 200, Body: "HTTP/1.1"}, Response{StatusCode: 200, Body: "HTTP/2.0"}
	_, securePort, _ := net.SplitHostPort(secure)
	_, plainPort, _ := net.SplitHostPort(plain)
	return []proxyTest{
		{"https", "https://" + secure, "127.0.0.0/8", overHTTP2, "CONNECT " + secure},
		{"http", "http://" + plain + "/hooks", "127.0.0.0/8", overHTTP1, "POST http://" + plain + "/hooks"},
		{"https, a name", "https://inside.example:" + securePort, "127.0.0.0/8", overHTTP2, "CONNECT 127.0.0.1:" + securePort},
		{
			"https, an international name", "https://bücher.example:" + securePort, "127.0.0.0/8",
			overHTTP2, "CONNECT 127.0.0.1:" + securePort,
		},
		{
			"https, a name with two addresses", "https://two.example:" + securePort, "127.0.0.0/8 ::1/128",
			overHTTP2, "CONNECT 127.0.0.1:" + securePort,
		},
		{
			"http, a name", "http://inside.example:" + plainPort + "/hooks", "127.0.0.0/8",
			overHTTP1, "POST http://inside.example:" + plainPort + "/hooks",
		},
		{
			"https, a name that is partly forbidden", "https://mixed.example:" + securePort, "127.0.0.0/8",
			overHTTP2, "CONNECT 127.0.0.1:" + securePort,
		},
	}
}

// forbiddenThroughProxy are requests that the proxy is not asked to make.
func forbiddenThroughProxy(secure, plain string) []proxyTest {
	loopback := Response{Failure: notPublic}
	_, securePort, _ := net.SplitHostPort(secure)
	_, plainPort, _ := net.SplitHostPort(plain)
	return []proxyTest{
		{"https, forbidden", "https://" + secure, "", loopback, ""},
		{"http, forbidden", "http://" + plain, "", loopback, ""},
		{"a name, forbidden", "https://inside.example:" + securePort, "", loopback, ""},
		{"a name, all of it forbidden", "https://mixed.example:" + securePort, "", loopback, ""},
		// The proxy would choose the address.
		{"http, a name that is partly forbidden", "http://mixed.example:" + plainPort, "127.0.0.0/8", Response{Failure: notPublic}, ""},
		{"an address, IPv4-mapped", "https://[::ffff:127.0.0.1]:" + securePort, "", loopback, ""},
		{"an address written as a number", "https://2130706433:" + securePort, "", Response{
			Failure: "the name 2130706433 has no address" + checkHost,
		}, ""},
		{"a name without address", "https://hooks.invalid", "", Response{Failure: "the name hooks.invalid has no address" + checkHost}, ""},
	}
}

// With a proxy, the destination's address must be allowed. The proxy's own need not be.
func TestProxy(t *testing.T) {
	ca := newAuthority(t)
	answer := func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }
	secureServer := serveTLS(t, ca.issue(func(c *x509.Certificate) {
		c.DNSNames = append(c.DNSNames, "inside.example", "mixed.example", "two.example", "xn--bcher-kva.example")
	}), answer)
	plainServer := httptest.NewServer(http.HandlerFunc(answer))
	defer plainServer.Close()
	dnsZone(t, map[string][]string{
		"inside.example": {"127.0.0.1"}, "mixed.example": {"fe80::1", "127.0.0.1"}, "two.example": {"::1", "127.0.0.1"},
		"xn--bcher-kva.example": {"127.0.0.1"},
	})
	secure, plain := secureServer.Listener.Addr().String(), plainServer.Listener.Addr().String()
	for _, tc := range slices.Concat(allowedThroughProxy(secure, plain), forbiddenThroughProxy(secure, plain)) {
		t.Run(tc.name, func(t *testing.T) {
			proxy := newConnectProxy(t, http.StatusOK, nil)
			s := newSender(t, trusting(ca), func(c *Config) {
				c.Destinations.Proxy, c.Destinations.Allow = proxy.url, nil
				if tc.allow != "" {
					c.Destinations.Allow = prefixes(strings.Fields(tc.allow)...)
				}
			})
			s.Send(t.Context(), message(tc.url)).want(t, tc.want)
			asked := ""
			if len(proxy.asked) > 0 {
				asked = <-proxy.asked
			}
			if asked != tc.asked {
				t.Errorf("the proxy was asked %q, not %q", asked, tc.asked)
			}
		})
	}
}

// The sender speaks HTTP/1.1 with an HTTPS proxy, even if the proxy could speak HTTP/2.
func TestSecureProxy(t *testing.T) {
	ca := newAuthority(t)
	answer := func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }
	secure := serveTLS(t, ca.issue(), answer)
	plain := httptest.NewServer(http.HandlerFunc(answer))
	defer plain.Close()
	proxy := newConnectProxy(t, http.StatusOK, &tls.Config{Certificates: []tls.Certificate{ca.issue()}, NextProtos: []string{"h2", "http/1.1"}})
	proxy.url.Scheme = "https"
	s := newSender(t, trusting(ca), func(c *Config) { c.Destinations.Proxy = proxy.url })
	s.Send(t.Context(), message(secure.URL)).want(t, Response{StatusCode: 200, Body: "HTTP/2.0"})
	s.Send(t.Context(), message(plain.URL)).want(t, Response{StatusCode: 200, Body: "HTTP/1.1"})
}

// The proxy tries another address of a name when it cannot connect to one.
func TestProxyTriesAddresses(t *testing.T) {
	ca := newAuthority(t)
	secure := serveTLS(t, ca.issue(func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "two.example") }), func(http.ResponseWriter, *http.Request) {})
	_, port, _ := net.SplitHostPort(secure.Listener.Addr().String())
	dnsZone(t, map[string][]string{"two.example": {"127.0.0.2", "127.0.0.1", "127.0.0.3"}})
	proxy := newConnectProxy(t, http.StatusOK, nil)
	s := newSender(t, trusting(ca), func(c *Config) { c.Destinations.Proxy = proxy.url })
	s.Send(t.Context(), message("https://two.example:"+port)).want(t, Response{StatusCode: 200})
}

// If the proxy waits for an address that drops packets, it is asked for the next one in time.
func TestProxyWaitsForAddress(t *testing.T) {
	ca := newAuthority(t)
	secure := serveTLS(t, ca.issue(func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "two.example") }), func(http.ResponseWriter, *http.Request) {})
	_, port, _ := net.SplitHostPort(secure.Listener.Addr().String())
	dnsZone(t, map[string][]string{"two.example": {"127.0.0.2", "127.0.0.1"}})
	proxy := newConnectProxy(t, http.StatusOK, nil)
	proxy.waitsFor = "127.0.0.2:" + port
	s := newSender(t, trusting(ca), func(c *Config) { c.Destinations.Proxy = proxy.url })
	r, _ := sendUntil(t, s, message("https://two.example:"+port), func(r Response) bool { return r.StatusCode == 200 })
	r.want(t, Response{StatusCode: 200})
}

func TestProxyFailures(t *testing.T) {
	ca := newAuthority(t)
	dnsZone(t, nil)
	unreachable := "the configured proxy could not be reached"
	for _, tc := range []struct{ name, proxy, want string }{
		{"refuses", newConnectProxy(t, http.StatusForbidden, nil).url.String(), "the configured proxy answered 403 Forbidden"},
		{"cannot connect", newConnectProxy(t, http.StatusBadGateway, nil).url.String(), "the configured proxy answered 502 Bad Gateway"},
		{"wants a password", newConnectProxy(t, http.StatusProxyAuthRequired, nil).url.String(), "the configured proxy answered 407 Proxy Authentication Required"},
		{"is away", "http://" + refusing(t), unreachable},
		{"is away, SOCKS", "socks5://" + refusing(t), unreachable},
		{"has no address" + checkHost, "http://proxy.invalid", unreachable},
		{"has a certificate that is not trusted", serveTLS(t, newAuthority(t).issue(), func(http.ResponseWriter, *http.Request) {}).URL, unreachable},
		{"closes", "http://" + serve(t, answering("")), "the configured proxy closed the connection"},
		{"speaks no HTTP", "http://" + serve(t, greeting("SSH-2.0-OpenSSH_9.6\r\n")), "the configured proxy's response is not valid HTTP"},
		// SOCKS 5 (RFC 1928): no authentication needed; then a failure, host unreachable.
		{"cannot connect, SOCKS", "socks5://" + serve(t, func(conn net.Conn) {
			for _, answer := range []string{"\x05\x00", "\x05\x04\x00\x01\x00\x00\x00\x00\x00\x00"} {
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = io.WriteString(conn, answer)
			}
		}), "the configured proxy could not connect to 127.0.0.1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			proxy, err := url.Parse(tc.proxy)
			if err != nil {
				t.Fatal(err)
			}
			s := newSender(t, trusting(ca), func(c *Config) { c.Destinations.Proxy = proxy })
			s.Send(t.Context(), message("https://127.0.0.1:8443")).want(t, Response{Failure: tc.want})
		})
	}
}

// Connections through a proxy are kept like others, and end with the sender.
func TestProxyConnectionsAreKept(t *testing.T) {
	ca := newAuthority(t)
	answer := func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }
	plain := httptest.NewServer(http.HandlerFunc(answer))
	defer plain.Close()
	old := httptest.NewUnstartedServer(http.HandlerFunc(answer))
	old.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue()}}
	old.StartTLS()
	defer old.Close()
	proxy := newConnectProxy(t, http.StatusOK, nil)
	for _, tc := range []struct{ name, url, protocol string }{
		{"http", plain.URL, "HTTP/1.1"},
		{"https", old.URL, "HTTP/1.1"},
		{"HTTP/2", serveTLS(t, ca.issue(), answer).URL, "HTTP/2.0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			s := newSender(t, trusting(ca), func(c *Config) { c.Destinations.Proxy = proxy.url })
			for range 3 {
				s.Send(t.Context(), message(tc.url)).want(t, Response{StatusCode: 200, Body: tc.protocol})
			}
			<-proxy.asked
			if n := len(proxy.asked); n > 0 {
				t.Errorf("three requests took %d connections", n+1)
			}
			s.Close()
			goleak.VerifyNone(t, before)
		})
	}
}

// socksProxy is a proxy of SOCKS 5 (RFC 1928) that reaches one place alone, and
// notes where it was to connect to.
func socksProxy(t *testing.T, to string) (address string, asked chan string) {
	t.Helper()
	asked = make(chan string, 10)
	return serve(t, func(conn net.Conn) {
		packet := make([]byte, 512)
		if _, err := conn.Read(packet); err != nil { // which authentication
			return
		}
		_, _ = io.WriteString(conn, "\x05\x00") // none is needed
		n, err := conn.Read(packet)
		if err != nil {
			return
		}
		asked <- fmt.Sprintf("%x", packet[:n])
		_, _ = io.WriteString(conn, "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00") // connected
		var dialer net.Dialer
		onward, err := dialer.DialContext(t.Context(), "tcp", to)
		if err != nil {
			return
		}
		defer func() { _ = onward.Close() }()
		go func() {
			_, _ = io.Copy(onward, conn)
			_ = onward.Close()
		}()
		_, _ = io.Copy(conn, onward)
	}), asked
}

// The proxy stands where no destination may be, and the destination, which need
// not exist here, where they may.
func TestSOCKSProxy(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer server.Close()
	for _, tc := range []struct {
		allow string
		want  Response
		asked string // version, connect, IPv4, address, port
	}{
		{"192.0.2.0/24", Response{StatusCode: 204}, "05010001c00002010050"},
		{"127.0.0.0/8", Response{Failure: notPublic}, ""},
	} {
		t.Run(tc.allow, func(t *testing.T) {
			address, asked := socksProxy(t, server.Listener.Addr().String())
			s := newSender(t, func(c *Config) {
				c.Destinations.Proxy = &url.URL{Scheme: "socks5", Host: address}
				c.Destinations.Allow = prefixes(tc.allow)
			})
			s.Send(t.Context(), message("http://192.0.2.1/")).want(t, tc.want)
			got := ""
			if len(asked) > 0 {
				got = <-asked
			}
			if got != tc.asked {
				t.Errorf("the proxy was asked %s, not %s", got, tc.asked)
			}
		})
	}
}
