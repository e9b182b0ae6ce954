package sender

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestTLSFailures(t *testing.T) {
	ca := newAuthority(t)
	now := time.Now().UTC().Truncate(time.Second)
	day := 24 * time.Hour
	for _, tc := range []struct {
		name string
		cert tls.Certificate
		want string
	}{
		{"the right one", ca.issue(), ""},
		{
			"another name", ca.issue(func(c *x509.Certificate) { c.DNSNames = []string{"other.example"}; c.IPAddresses = nil }),
			"the TLS certificate is for other.example, not localhost",
		},
		{
			"several other names", ca.issue(func(c *x509.Certificate) { c.DNSNames = []string{"a.example", "b.example"} }),
			"the TLS certificate is for a.example, b.example, 127.0.0.1, not localhost",
		},
		{
			"many other names", ca.issue(func(c *x509.Certificate) { c.DNSNames = []string{"a.example", "b.example", "c.example", "d.example"} }),
			"the TLS certificate is for a.example, b.example, c.example and others, not localhost",
		},
		{
			"no name", ca.issue(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, nil }),
			"the TLS certificate is for no host name, not localhost",
		},
		{
			"an unknown authority", newAuthority(t).issue(),
			"the TLS certificate is signed by an authority that is not trusted",
		},
		{
			"expired", ca.issue(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(-2*day), now.Add(-day) }),
			"the TLS certificate expired on " + now.Add(-day).Format(time.RFC3339),
		},
		{
			"not valid yet", ca.issue(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(day), now.Add(2*day) }),
			"the TLS certificate is not valid before " + now.Add(day).Format(time.RFC3339),
		},
		{
			"for clients", ca.issue(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }),
			"the TLS certificate is not valid for a server",
		},
	} {
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
			want(t, Response{Failure: "the TLS certificate is signed by an authority that is not trusted"})
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
		{"plain HTTP", greeting("HTTP/1.1 400 Bad Request\r\n\r\n"), "the endpoint answered in plain HTTP, without TLS"},
		{"another protocol", greeting("SSH-2.0-OpenSSH_9.6\r\n"), "the endpoint does not speak TLS"},
		{"closed", func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) }, "the connection was closed during the TLS handshake"},
		{
			"a client certificate is asked for", secure(&tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}),
			"the endpoint refused the TLS connection: handshake failure",
		},
		{
			"a client certificate is asked for, TLS 1.3", secure(&tls.Config{ClientAuth: tls.RequireAnyClientCert}),
			"the endpoint refused the TLS connection: certificate required",
		},
		{
			"an old version of TLS", secure(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}),
			"the endpoint refused the TLS connection: protocol version not supported",
		},
		{
			"an old version of TLS, insisted on", greeting("\x16\x03\x01\x00\x2a\x02\x00\x00\x26\x03\x01" + strings.Repeat("r", 32) + "\x00\x00\x2f\x00"),
			"no TLS connection: server selected unsupported protocol version 301",
		},
		{
			"no protocol in common", secure(&tls.Config{NextProtos: []string{"imap"}}),
			"the endpoint refused the TLS connection: no application protocol",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			newSender(t, trusting(ca)).Send(t.Context(), message("https://"+serve(t, tc.handle))).want(t, Response{Failure: tc.want})
		})
	}
}

// A server that never answers the handshake times out, and the connection ends
// with it.
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

// A TLS session is taken up again by the next connection.
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
