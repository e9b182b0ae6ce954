package delivery

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

const (
	maxResponseHeader = 64 << 10
	idleConnTimeout   = 90 * time.Second
	// idlePerSlot is how many idle connections are kept for each request that may be
	// in flight: many endpoints are sent little each, and a handshake costs far more
	// than the memory of a connection.
	idlePerSlot = 4
	// A timeout closes a connection of HTTP/1, but one of HTTP/2 is shared and
	// goes on: that it is dead must be found out by pings.
	pingAfter   = 15 * time.Second
	pingTimeout = 5 * time.Second
)

// httpSender is a Sender. It follows no redirect, and sends a second time only
// when the endpoint has seen nothing of the first try.
type httpSender struct {
	destinations Destinations
	dialer       net.Dialer
	tls          *tls.Config
	// transport makes connections of HTTP/2. It keeps none.
	transport   *http.Transport
	connections connections
}

// newHTTPSender makes a Sender that goes only where the settings let it.
func newHTTPSender(s *Settings) *httpSender {
	h := &httpSender{
		destinations: s.Destinations,
		dialer:       net.Dialer{KeepAlive: 30 * time.Second},
		tls: &tls.Config{
			RootCAs:            s.Destinations.TrustedCAs,
			MinVersion:         tls.VersionTLS12,
			NextProtos:         []string{"h2", "http/1.1"},
			ClientSessionCache: tls.NewLRUClientSessionCache(s.Concurrency),
			// Requests are written at once: small records gain nothing.
			DynamicRecordSizingDisabled: true,
		},
	}
	h.transport = h.newTransport()
	h.transport.DialTLSContext = shakenHands
	if s.Destinations.Proxy == nil {
		// The address that is really dialled, after DNS, each time.
		h.dialer.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return err
			}
			return h.destinations.CheckAddr(ap.Addr())
		}
	}
	h.connections.init(idlePerSlot * s.Concurrency)
	return h
}

// newTransport makes what speaks HTTP/2, and with proxies, for us.
func (h *httpSender) newTransport() *http.Transport {
	return &http.Transport{
		TLSClientConfig:        h.tls.Clone(), // which it changes
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		DisableCompression:     true, // the log keeps what was sent, as it was sent
		MaxResponseHeaderBytes: maxResponseHeader,
	}
}

func (h *httpSender) Close() { h.connections.close() }

// exchange is a request on its way, and when its time is up.
type exchange struct {
	Message
	url      *url.URL
	deadline time.Time
	// resolved are the addresses that a proxy may be asked for.
	resolved []netip.Addr
}

// failed describes what went wrong, at which phase.
func (x *exchange) failed(ctx context.Context, err error, at phase) Response {
	if ctx.Err() != nil {
		return Response{Cause: ctx.Err(), Failure: "the request was broken off, since this server stopped"}
	}
	return failure(err, x.url, x.Timeout, at)
}

func (h *httpSender) Send(ctx context.Context, m Message) Response {
	x := &exchange{Message: m, deadline: time.Now().Add(m.Timeout)}
	var err error
	if x.url, err = url.Parse(m.URL); err != nil || x.url.Host == "" {
		return Response{Failure: "the webhook's URL is not one"}
	}
	if x.url.Scheme != "https" && !h.destinations.AllowHTTP {
		return Response{Failure: "the configuration no longer allows http URLs"}
	}
	if x.url.Scheme != "https" && x.url.Scheme != "http" {
		return Response{Failure: "the webhook's URL is not one"}
	}
	if h.destinations.Proxy != nil {
		// The proxy makes the connection, out of the dialer's sight.
		if x.resolved, err = h.resolve(ctx, x); err != nil {
			return x.failed(ctx, err, connecting)
		}
	}
	r, unsent := h.try(ctx, x)
	if unsent {
		r, _ = h.try(ctx, x)
	}
	return r
}

// try makes the request. Unsent means that it failed, and the endpoint has seen
// nothing of it.
func (h *httpSender) try(ctx context.Context, x *exchange) (r Response, unsent bool) {
	c, at, err := h.connection(ctx, x)
	if err != nil {
		return x.failed(ctx, err, at), false
	}
	r, keep, unsent := c.exchange(ctx, x)
	h.connections.release(c, keep)
	return r, unsent
}

// connection takes one that is kept, or makes one. A failure comes with how far
// it got.
func (h *httpSender) connection(ctx context.Context, x *exchange) (*kept, phase, error) {
	to := endpoint{x.url.Scheme, x.url.Host}
	if c := h.connections.take(to, x.deadline); c != nil {
		return c, waiting, nil
	}
	ctx, cancel := context.WithDeadline(ctx, x.deadline)
	defer cancel()
	dial := h.dial
	if h.destinations.Proxy != nil {
		dial = h.dialThroughProxy
	}
	c, at, err := dial(ctx, x)
	if err != nil {
		return nil, at, err
	}
	return h.connections.add(to, c), waiting, nil
}
