package delivery

import (
	"context"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
)

// goThrough makes net/http's Transport, which knows the protocols of proxies,
// connect through one.
func (h *httpSender) goThrough(proxy *url.URL) {
	h.transport.DialContext = h.dialer.DialContext
	h.transport.Proxy = http.ProxyURL(proxy)
	h.transport.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
		if answer.StatusCode != http.StatusOK {
			return &proxyAnswerError{answer.StatusCode}
		}
		return nil
	}
}

// dialThroughProxy makes a connection to the endpoint of a request through the
// proxy.
func (h *httpSender) dialThroughProxy(ctx context.Context, x *exchange) (connection, phase, error) {
	at := connecting
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeStart: func() { at = shakingHands },
	})
	client, err := h.transport.NewClientConn(traced, x.url.Scheme, address(x.url))
	if err != nil {
		return nil, at, err
	}
	// One of HTTP/1 takes one request at a time.
	return &clientConnection{client: client, many: client.Available() > 1}, waiting, nil
}

// checkResolved checks every address that the host of a request has.
func (h *httpSender) checkResolved(ctx context.Context, x *exchange) error {
	host := x.url.Hostname()
	if addr, err := netip.ParseAddr(host); err == nil {
		return h.destinations.CheckAddr(addr)
	}
	ctx, cancel := context.WithDeadline(ctx, x.deadline)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return err
	}
	for _, addr := range addrs {
		if err := h.destinations.CheckAddr(addr); err != nil {
			return err
		}
	}
	return nil
}
