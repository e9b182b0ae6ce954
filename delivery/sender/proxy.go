package sender

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
)

// resolveForProxy looks up and checks the addresses that the proxy may be asked for:
// it makes the connection, out of the dialer's sight. Those of IPv4 come first: a
// proxy may have no other network.
func (s *Sender) resolveForProxy(ctx context.Context, req *request) error {
	ctx, cancel := context.WithDeadline(ctx, req.deadline)
	defer cancel()
	addrs, refused := s.resolve(ctx, req.url)
	if len(addrs) == 0 || refused != nil && s.proxyLooksUp(req) {
		return refused
	}
	slices.SortStableFunc(addrs, func(a, b netip.Addr) int { return cmp.Compare(a.BitLen(), b.BitLen()) })
	req.resolved = addrs[:min(len(addrs), maxAddresses)]
	return nil
}

// proxyLooksUp says whether the proxy looks up the endpoint's name: that is so for a
// request of http to an HTTP proxy, which must be told the name.
func (s *Sender) proxyLooksUp(req *request) bool {
	return req.url.Scheme == "http" && !strings.HasPrefix(s.destinations.Proxy.Scheme, "socks")
}

// dialThroughProxy makes a connection to the endpoint of a request through the proxy.
// It asks for an address that was checked, since the proxy might find another one for
// the name.
func (s *Sender) dialThroughProxy(ctx context.Context, req *request) (connection, error) {
	host, port := hostPort(req.url)
	if s.proxyLooksUp(req) {
		return s.connectThroughProxy(ctx, req, host, net.JoinHostPort(host, port))
	}
	return dialAny(ctx, req.resolved, share(req.deadline, len(req.resolved)),
		func(ctx context.Context, addr netip.Addr) (connection, error) {
			return s.connectThroughProxy(ctx, req, host, net.JoinHostPort(addr.String(), port))
		},
		connection.close,
	)
}

// connectThroughProxy asks the proxy for an address, where the host is.
func (s *Sender) connectThroughProxy(ctx context.Context, req *request, host, address string) (connection, error) {
	var (
		line        line
		http2       bool
		handshaking atomic.Bool
	)
	line.identity = req.identity
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeStart: func() { handshaking.Store(true) },
		TLSHandshakeDone: func(state tls.ConnectionState, _ error) {
			if http2 = state.NegotiatedProtocol == "h2"; http2 {
				line.settling = newSettling()
			}
		},
	})
	client, err := s.throughProxy(host, &line).NewClientConn(ctx, req.url.Scheme, address)
	switch {
	case err != nil && handshaking.Load():
		return nil, s.handshakeError(err, &line)
	case err != nil:
		return nil, err
	case http2:
		return &http2Conn{client: client, line: &line, settled: line.settled}, nil
	}
	return &proxiedConn{client: client, line: &line}, nil
}

// throughProxy makes net/http's Transport, which knows the protocols of proxies,
// connect through one, by a new line, to an endpoint whose certificate is for the host.
func (s *Sender) throughProxy(host string, line *line) *http.Transport {
	t := s.newTransport()
	t.TLSClientConfig = s.tlsConfig(host, line)
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := s.dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if err := line.init(conn); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return line, nil
	}
	t.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := t.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return s.proxyTLS(ctx, conn, address)
	}
	t.Proxy = http.ProxyURL(s.destinations.Proxy)
	t.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
		if answer.StatusCode != http.StatusOK {
			return &proxyStatusError{answer.StatusCode}
		}
		return nil
	}
	return t
}

// proxyTLS makes a TLS connection to a proxy of https. What Transport says to proxies
// is HTTP/1.1, and it would offer them HTTP/2 as well.
func (s *Sender) proxyTLS(ctx context.Context, conn net.Conn, address string) (net.Conn, error) {
	config := s.tls.Clone()
	config.NextProtos = []string{"http/1.1"}
	config.ServerName, _, _ = net.SplitHostPort(address)
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return struct{ net.Conn }{secure}, nil // Transport is not to take it for the endpoint's
}
