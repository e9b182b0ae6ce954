package sender

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// tlsFailure is a certificate, and the failure of a request to a server that has it.
type tlsFailure struct {
	name string
	cert tls.Certificate
	want string
}

// namesOfCertificates are certificates for several names.
func namesOfCertificates(ca *authority) []tlsFailure {
	return []tlsFailure{
		{"the right one", ca.issue(), ""},
		{
			"another name", ca.issue(func(c *x509.Certificate) { c.DNSNames = []string{"other.example"}; c.IPAddresses = nil }),
			"the TLS certificate is for other.example, not localhost: change the webhook's URL, or the certificate",
		},
		{
			"several other names", ca.issue(func(c *x509.Certificate) { c.DNSNames = []string{"a.example", "b.example"} }),
			"the TLS certificate is for a.example, b.example and others, not localhost: change the webhook's URL, or the certificate",
		},
		{
			"many other names", ca.issue(func(c *x509.Certificate) { c.DNSNames = []string{"a.example", "b.example", "c.example", "d.example"} }),
			"the TLS certificate is for a.example, b.example, c.example and others, not localhost: change the webhook's URL, or the certificate",
		},
		{
			"other addresses", ca.issue(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, []net.IP{{10, 1, 2, 3}, {8, 8, 8, 8}} }),
			"the TLS certificate is for 8.8.8.8 and others, not localhost: change the webhook's URL, or the certificate",
		},
		{
			"no name", ca.issue(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, nil }),
			"the TLS certificate is for no host name, not localhost: change the webhook's URL, or the certificate",
		},
		{
			"a name that is none", ca.issue(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"run: rm -rf"}, nil }),
			"the TLS certificate is for other names, not localhost: change the webhook's URL, or the certificate",
		},
	}
}

// authoritiesOfCertificates are certificates of several authorities, of which only ca is
// trusted.
func authoritiesOfCertificates(t *testing.T, ca *authority, now time.Time) []tlsFailure {
	t.Helper()
	unknown := newAuthority(t)
	below := func(a *authority) *authority { return a.subordinate() }
	intermediate := ca.subordinate()
	expired := ca.subordinate(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(-2*day), now.Add(-day) })
	other := ca.subordinate(func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"other.example"} })
	return []tlsFailure{
		{
			"an unknown authority", unknown.chained(unknown.issue()),
			"the TLS certificate is signed by an authority that is not trusted, since trusted_ca does not have it: add it there",
		},
		{
			"an unknown authority, whose certificate is not sent", unknown.issue(),
			"the TLS certificate is signed by an authority that is not trusted, since trusted_ca does not have it: add it there; if it is an intermediate one, the endpoint must send its certificate",
		},
		{
			"an unknown authority and its intermediate one", below(unknown).chained(below(unknown).issue()),
			"the TLS certificate is signed by an authority that is not trusted, since trusted_ca does not have it: add it there",
		},
		{"an intermediate one", intermediate.chained(intermediate.issue()), ""},
		{
			"a missing intermediate one", intermediate.issue(func(c *x509.Certificate) { c.IssuingCertificateURL = []string{"http://ca.example/"} }),
			"the endpoint does not send the intermediate certificate that its TLS certificate needs: install the full chain there",
		},
		{
			"self-signed", new(authority{t: t}).issue(func(c *x509.Certificate) { c.Subject.CommonName = "localhost" }),
			"the TLS certificate is self-signed and not trusted: get one from an authority, or add this one to trusted_ca",
		},
		{
			"an expired intermediate one", expired.chained(expired.issue()),
			"the certificate of an authority, on which the TLS certificate relies, expired on " + now.Add(-day).Format(time.RFC3339) + ": renew it",
		},
		{
			"an authority for other names", other.chained(other.issue()),
			"the TLS certificate, or one of its authorities, is not valid",
		},
	}
}

// usesOfCertificates are certificates that are valid at several times, and for clients.
func usesOfCertificates(ca *authority, now time.Time) []tlsFailure {
	return []tlsFailure{
		{
			"expired", ca.issue(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(-2*day), now.Add(-day) }),
			"the TLS certificate expired on " + now.Add(-day).Format(time.RFC3339) + ": renew it",
		},
		{
			"not valid yet", ca.issue(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(day), now.Add(2*day) }),
			"the TLS certificate is not valid before " + now.Add(day).Format(time.RFC3339) + ": check the clocks of both servers",
		},
		{
			"for clients", ca.issue(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }),
			"the TLS certificate is not one for servers",
		},
	}
}

const day = 24 * time.Hour

func TestTLSFailures(t *testing.T) {
	ca := newAuthority(t)
	now := time.Now().UTC().Truncate(time.Second)
	for _, tc := range slices.Concat(namesOfCertificates(ca), authoritiesOfCertificates(t, ca, now), usesOfCertificates(ca, now)) {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var called atomic.Int32
			server := serveTLS(t, tc.cert, func(w http.ResponseWriter, _ *http.Request) {
				called.Add(1)
				w.WriteHeader(http.StatusNoContent)
			})
			want := Response{Failure: tc.want}
			if tc.want == "" {
				want.StatusCode = 204
			}
			url := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
			newSender(t, trusting(ca)).Send(t.Context(), message(url)).want(t, want)
			if n := called.Load(); n > 0 && tc.want != "" {
				t.Errorf("the endpoint was sent %d requests", n)
			}
		})
	}
	t.Run("the system's authorities", func(t *testing.T) {
		server := serveTLS(t, ca.issue(), func(http.ResponseWriter, *http.Request) {})
		newSender(t).Send(t.Context(), message(server.URL)).
			want(t, Response{Failure: "the TLS certificate is signed by an authority that is not trusted: if it is your own, add it to trusted_ca; if it is an intermediate one, the endpoint must send its certificate"})
	})
}

func TestTLSHandshakeFailures(t *testing.T) {
	ca := newAuthority(t)
	secure := func(config *tls.Config) func(net.Conn) {
		config.Certificates = []tls.Certificate{ca.issue()}
		return func(conn net.Conn) {
			server := tls.Server(conn, config)
			if server.Handshake() == nil {
				_, _ = io.Copy(io.Discard, server)
			}
		}
	}
	for _, tc := range []struct {
		name   string
		handle func(net.Conn)
		want   string
	}{
		{"plain HTTP", greeting("HTTP/1.1 400 Bad Request\r\n\r\n"), "the endpoint answered in plain HTTP, without TLS: check the port in the webhook's URL"},
		{"another protocol", greeting("SSH-2.0-OpenSSH_9.6\r\n"), "the endpoint does not speak TLS: check the port in the webhook's URL"},
		{"closed", func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) }, "the connection was closed during the TLS handshake"},
		{
			"no cipher in common", secure(&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}}),
			"the endpoint refused the TLS connection: handshake failure",
		},
		{
			"no certificate for the name", secure(&tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, errors.New("none") }}),
			"the endpoint refused the TLS connection (internal error): it may have no certificate for 127.0.0.1",
		},
		{
			"an old version of TLS", secure(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}),
			oldTLS,
		},
		{
			"an old version of TLS, insisted on", greeting("\x16\x03\x01\x00\x2a\x02\x00\x00\x26\x03\x01" + strings.Repeat("r", 32) + "\x00\x00\x2f\x00"),
			oldTLS,
		},
		{
			"no protocol in common", secure(&tls.Config{NextProtos: []string{"imap"}}),
			"the endpoint speaks neither HTTP/1.1 nor HTTP/2 over TLS",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			newSender(t, trusting(ca)).Send(t.Context(), message("https://"+serve(t, tc.handle))).want(t, Response{Failure: tc.want})
		})
	}
}

// An endpoint may ask for a client certificate. It may say that it wants one only after the
// handshake.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
			for _, proxied := range []bool{false, true} {
				for _, auth := range []tls.ClientAuthType{tls.RequestClientCert, tls.RequireAnyClientCert} {
					t.Run(fmt.Sprint(tls.VersionName(version), " ", protocol, " ", auth, " proxied: ", proxied), func(t *testing.T) {
						t.Parallel()
						server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
						server.EnableHTTP2 = protocol == "HTTP/2.0"
						server.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue()}, ClientAuth: auth, MaxVersion: version}
						server.Config.ErrorLog = log.New(io.Discard, "", 0)
						server.StartTLS()
						defer server.Close()
						s := newSender(t, trusting(ca), func(c *Config) {
							if proxied {
								c.Destinations.Proxy = newConnectProxy(t, http.StatusOK, nil).url
							}
						})
						want := Response{StatusCode: 200, Body: protocol}
						if auth == tls.RequireAnyClientCert {
							want = Response{Failure: "the endpoint wants a client certificate, which the webhook does not have: add one as its client_certificate"}
						}
						for range 2 {
							s.Send(t.Context(), message(server.URL)).want(t, want)
						}
					})
				}
			}
		}
	}
}

// A server that never answers the handshake times out, which closes the connection.
func TestSilentTLSHandshake(t *testing.T) {
	try := func(timeout time.Duration) (happened bool) {
		closed := make(chan struct{})
		address := serve(t, func(conn net.Conn) {
			_, _ = io.Copy(io.Discard, conn)
			close(closed)
		})
		m := message("https://" + address)
		m.Timeout = timeout
		r := newSender(t).Send(t.Context(), m)
		if strings.HasPrefix(r.Failure, "no connection") && timeout < time.Minute {
			return false // a busy machine
		}
		r.want(t, Response{TimedOut: true, Failure: fmt.Sprintf("no TLS handshake with %s within %s", address, timeout)})
		<-closed
		return true
	}
	for timeout := 150 * time.Millisecond; !try(timeout); {
		timeout *= 2
	}
}

// The next connection resumes the TLS session.
func TestTLSSessionIsResumed(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	resumed := make(chan bool, 1)
	url := "https://" + serve(t, secured(ca, func(conn *tls.Conn) {
		answering(answerClose)(conn)
		resumed <- conn.ConnectionState().DidResume
	}))
	s := newSender(t, trusting(ca))
	for _, want := range []bool{false, true} {
		s.Send(t.Context(), message(url)).want(t, Response{StatusCode: 200, Body: "ok"})
		if got := <-resumed; got != want {
			t.Errorf("resumed is %t, not %t", got, want)
		}
	}
}
