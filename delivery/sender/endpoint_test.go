package sender

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/caddy-webhooks/caddy-webhooks/internal/process"
)

// serve is a TCP server of which each connection is the handler's, and is closed
// when the handler has returned or the test ends.
func serve(t testing.TB, handle func(net.Conn)) (address string) {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu    sync.Mutex
		open  = make(map[net.Conn]bool)
		ended bool
		all   sync.WaitGroup
	)
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			if ended {
				_ = conn.Close()
			}
			open[conn] = true
			mu.Unlock()
			all.Go(func() {
				handle(conn)
				mu.Lock()
				delete(open, conn)
				mu.Unlock()
				_ = conn.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		ended = true
		for conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return listener.Addr().String()
}

// answering is a handler that reads one request, writes the parts of an answer
// in turn, and closes the connection.
func answering(parts ...string) func(net.Conn) {
	return func(conn net.Conn) {
		readRequest(conn)
		for _, part := range parts {
			if _, err := io.WriteString(conn, part); err != nil {
				return
			}
		}
	}
}

// holding is answering, but leaves it to the client to close the connection.
func holding(parts ...string) func(net.Conn) {
	return func(conn net.Conn) {
		answering(parts...)(conn)
		_, _ = io.Copy(io.Discard, conn)
	}
}

// greeting is holding for protocols other than HTTP: whatever comes first is
// answered.
func greeting(answer string) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, answer)
		_, _ = io.Copy(io.Discard, conn)
	}
}

// repeating is answering, then writes the same over and over.
func repeating(start, again string) func(net.Conn) {
	return func(conn net.Conn) {
		answering(start)(conn)
		for {
			if _, err := io.WriteString(conn, again); err != nil {
				return
			}
		}
	}
}

// dripping is repeating, but slowly.
func dripping(start, drop string) func(net.Conn) {
	return func(conn net.Conn) {
		answering(start)(conn)
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for range ticker.C {
			if _, err := io.WriteString(conn, drop); err != nil {
				return
			}
		}
	}
}

// readRequest reads a whole request.
func readRequest(conn net.Conn) {
	if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
}

// refusing is an address that nobody listens at.
func refusing(t *testing.T) (address string) {
	t.Helper()
	address, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// serveTLS is a server of HTTP/2 and HTTP/1.1 with a certificate.
func serveTLS(t *testing.T, cert tls.Certificate, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// secured makes a handler of connections with TLS, but without HTTP/2, of one
// without.
func secured(ca *authority, handle func(*tls.Conn)) func(net.Conn) {
	config := &tls.Config{Certificates: []tls.Certificate{ca.issue()}, NextProtos: []string{"http/1.1"}}
	return func(conn net.Conn) { handle(tls.Server(conn, config)) }
}

// localConfig lets requests go to loopback, over http too.
func localConfig() Config {
	return Config{Concurrency: 512, Destinations: Destinations{AllowHTTP: true, Allow: prefixes("127.0.0.0/8", "::1/128")}}
}

// newSender makes a sender of localConfig, changed.
func newSender(t testing.TB, changes ...func(*Config)) *Sender {
	t.Helper()
	c := localConfig()
	for _, change := range changes {
		change(&c)
	}
	s := New(&c)
	t.Cleanup(s.Close)
	return s
}

// trusting makes an authority the only trusted one.
func trusting(ca *authority) func(*Config) {
	return func(c *Config) { c.Destinations.TrustedCAs = ca.pool() }
}

// message is a small request to a URL. Its timeout is for tests that hang.
func message(url string) Message {
	return Message{
		Target:      NewTarget(url, http.Header{"Content-Type": {"application/json"}}),
		Body:        []byte(`{"data":{}}`),
		Timeout:     time.Minute,
		MaxResponse: 1 << 10,
	}
}

// sendUntil sends with longer and longer timeouts until what was to happen before
// the timeout has: on a busy machine, short ones pass too early. It begins with
// 150ms, and returns the last response and its timeout.
func sendUntil(t *testing.T, s *Sender, m Message, happened func(Response) bool) (r Response, timeout time.Duration) {
	t.Helper()
	for m.Timeout = 150 * time.Millisecond; ; m.Timeout *= 2 {
		r = s.Send(t.Context(), m)
		if happened(r) || m.Timeout > time.Minute {
			return r, m.Timeout
		}
	}
}

// tooLate is the failure of a request to an endpoint that says nothing.
func tooLate(timeout time.Duration) string {
	return fmt.Sprintf("no complete response within %s: an endpoint should answer first and work afterwards", timeout)
}

// incomplete says that the request was under way when the timeout passed.
func incomplete(r Response) bool { return strings.HasPrefix(r.Failure, "no complete response") }

// dnsZone answers the questions of this process's resolver, in place of the
// machine's DNS server, until the test ends. Names are looked up in the zone;
// those that are not there do not exist, and one with an empty address makes the
// server fail. Tests that use it do not run beside others.
func dnsZone(t *testing.T, zone map[string][]string) {
	t.Helper()
	var config net.ListenConfig
	conn, err := config.ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var answering sync.WaitGroup
	answering.Go(func() {
		packet := make([]byte, 1500)
		for {
			n, peer, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			if answer, err := dnsAnswer(zone, packet[:n]); err == nil {
				_, _ = conn.WriteTo(answer, peer)
			}
		}
	})
	resolveAt(t, conn.LocalAddr().String())
	t.Cleanup(func() {
		_ = conn.Close()
		answering.Wait()
	})
}

// resolveAt makes an address this process's DNS server until the test ends.
func resolveAt(t *testing.T, address string) {
	t.Helper()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			// Without its own resolver, the dialer would read DefaultResolver, perhaps
			// after the test has ended.
			dialer := net.Dialer{Resolver: before}
			return dialer.DialContext(ctx, "udp", address)
		},
	}
	t.Cleanup(func() { net.DefaultResolver = before })
}

func dnsAnswer(zone map[string][]string, packet []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(packet); err != nil {
		return nil, err
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	q := m.Questions[0]
	addresses, ok := zone[strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))]
	if !ok {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, address := range addresses {
		addr, err := netip.ParseAddr(address)
		header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}
		switch {
		case err != nil:
			m.RCode = dnsmessage.RCodeServerFailure
		case addr.Is4() && q.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: addr.As4()}})
		case addr.Is6() && q.Type == dnsmessage.TypeAAAA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
		}
	}
	return m.Pack()
}
