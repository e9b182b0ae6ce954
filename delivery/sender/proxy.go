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
)

// throughProxy makes net/http's Transport, which knows the protocols of proxies,
// connect through one to an endpoint whose certificate is for the host.
func (s *Sender) throughProxy(host string) *http.Transport {
	t := s.newTransport()
	t.TLSClientConfig.ServerName = host
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

// dialThroughProxy makes a connection to the endpoint of a request through the proxy.
// That is told an address that was checked, lest it find another one for the name;
// only of http, an HTTP proxy must be told the name, and look after addresses by itself.
func (s *Sender) dialThroughProxy(ctx context.Context, req *request) (connection, phase, error) {
	at := connecting
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeStart: func() { at = handshaking },
	})
	byName := address(req.url)
	host, port, _ := net.SplitHostPort(byName)
	to := []string{byName}
	if req.url.Scheme == "https" || strings.HasPrefix(s.destinations.Proxy.Scheme, "socks") {
		to = nil
		for _, addr := range req.resolved {
			to = append(to, net.JoinHostPort(addr.String(), port))
		}
	}
	transport := s.throughProxy(host)
	var first error
	for _, each := range to {
		client, err := transport.NewClientConn(traced, req.url.Scheme, each)
		if err == nil {
			// One of HTTP/1 takes one request at a time.
			return &clientConn{client: client, many: client.Available() > 1}, waiting, nil
		}
		first = cmp.Or(first, err)
	}
	return nil, at, first
}

// resolve gives the addresses that the host of a request has, if all may be gone to.
// Those of IPv4 come first: a proxy may have no other network.
func (s *Sender) resolve(ctx context.Context, req *request) ([]netip.Addr, error) {
	host, _, _ := net.SplitHostPort(address(req.url))
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, s.destinations.CheckAddr(addr)
	}
	ctx, cancel := context.WithDeadline(ctx, req.deadline)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	for i, addr := range addrs {
		if err := s.destinations.CheckAddr(addr); err != nil {
			return nil, err
		}
		addrs[i] = addr.Unmap()
	}
	slices.SortStableFunc(addrs, func(a, b netip.Addr) int { return cmp.Compare(a.BitLen(), b.BitLen()) })
	return addrs, nil
}
