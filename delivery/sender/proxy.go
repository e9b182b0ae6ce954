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
	host, _ := hostPort(req.url)
	addrs, err := lookUp(ctx, host)
	if err != nil {
		return err
	}
	addrs, refused := s.destinations.split(addrs)
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
		return s.connectThroughProxy(ctx, "http", host, net.JoinHostPort(host, port))
	}
	return dialAny(ctx, req.resolved, share(req.deadline, len(req.resolved)),
		func(ctx context.Context, addr netip.Addr) (connection, error) {
			return s.connectThroughProxy(ctx, req.url.Scheme, host, net.JoinHostPort(addr.String(), port))
		},
		connection.close,
	)
}

// connectThroughProxy asks the proxy for an address, where the host is.
func (s *Sender) connectThroughProxy(ctx context.Context, scheme, host, address string) (connection, error) {
	var handshaking, clientCertWanted atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeStart: func() { handshaking.Store(true) },
	})
	client, err := s.throughProxy(host, &clientCertWanted).NewClientConn(ctx, scheme, address)
	switch {
	case err != nil && handshaking.Load():
		return nil, s.handshakeError(err, &clientCertWanted)
	case err != nil:
		return nil, err
	}
	// One of HTTP/1 takes one request at a time.
	return &clientConn{client: client, many: client.Available() > 1, clientCertWanted: clientCertWanted.Load()}, nil
}

// throughProxy makes net/http's Transport, which knows the protocols of proxies,
// connect through one to an endpoint whose certificate is for the host.
func (s *Sender) throughProxy(host string, clientCertWanted *atomic.Bool) *http.Transport {
	t := s.newTransport()
	t.TLSClientConfig = s.tlsConfig(host, clientCertWanted)
	t.DialContext = s.dialer.DialContext
	t.DialTLSContext = s.dialProxyTLS
	t.Proxy = http.ProxyURL(s.destinations.Proxy)
	t.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
		if answer.StatusCode != http.StatusOK {
			return &proxyStatusError{answer.StatusCode}
		}
		return nil
	}
	return t
}

// dialProxyTLS connects to a proxy of https. What Transport says to proxies is
// HTTP/1.1, and it would offer them HTTP/2 as well.
func (s *Sender) dialProxyTLS(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := tls.Dialer{NetDialer: &s.dialer, Config: s.tls.Clone()}
	dialer.Config.NextProtos = []string{"http/1.1"}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return struct{ net.Conn }{conn}, nil // Transport is not to take it for the endpoint's
}
