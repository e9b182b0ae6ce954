package sender

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
	// idlePerRequest is how many idle connections are kept for each request that may be
	// in flight: many endpoints are sent little each, and a handshake costs far more
	// than the memory of a connection.
	idlePerRequest = 4
	// A timeout closes a connection of HTTP/1, but one of HTTP/2 is shared and
	// goes on: that it is dead must be found out by pings.
	pingAfter   = 15 * time.Second
	pingTimeout = 5 * time.Second
)

// Sender makes HTTP requests to endpoints, and keeps connections to them. It
// follows no redirect, and sends a second time only when the endpoint has seen
// nothing of the first try. All methods are safe for concurrent use.
type Sender struct {
	destinations Destinations
	dialer       net.Dialer
	tls          *tls.Config
	// transport makes connections of HTTP/2. It keeps none.
	transport   *http.Transport
	connections connections
}

// New makes a Sender for a configuration, which must be valid.
func New(c *Config) *Sender {
	s := &Sender{
		destinations: c.Destinations,
		dialer:       net.Dialer{KeepAlive: 30 * time.Second},
		tls: &tls.Config{
			RootCAs:            c.Destinations.TrustedCAs,
			MinVersion:         tls.VersionTLS12,
			NextProtos:         []string{"h2", "http/1.1"},
			ClientSessionCache: tls.NewLRUClientSessionCache(c.Concurrency),
			// Requests are written at once: small records gain nothing.
			DynamicRecordSizingDisabled: true,
		},
	}
	s.transport = s.newTransport()
	s.transport.DialTLSContext = shakenHands
	if c.Destinations.Proxy == nil {
		// The address that is really dialled, after DNS, each time.
		s.dialer.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return err
			}
			return s.destinations.CheckAddr(ap.Addr())
		}
	}
	s.connections.init(idlePerRequest * c.Concurrency)
	return s
}

// newTransport makes what speaks HTTP/2, and with proxies, for us.
func (s *Sender) newTransport() *http.Transport {
	return &http.Transport{
		TLSClientConfig:        s.tls.Clone(), // which it changes
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		DisableCompression:     true, // the log keeps what was sent, as it was sent
		MaxResponseHeaderBytes: maxResponseHeader,
	}
}

// Close closes the idle connections now, and the others after their requests, which
// go on. More may be sent, but no connection is kept for it.
func (s *Sender) Close() { s.connections.close() }

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

// Send makes one POST and reads the whole response. It returns no error: whatever
// came of it is in the response. When the context ends, the request is broken off.
func (s *Sender) Send(ctx context.Context, m Message) Response {
	x := &exchange{Message: m, deadline: time.Now().Add(m.Timeout)}
	var err error
	if x.url, err = url.Parse(m.URL); err != nil || x.url.Host == "" {
		return Response{Failure: "the webhook's URL is not one"}
	}
	if x.url.Scheme != "https" && !s.destinations.AllowHTTP {
		return Response{Failure: "the configuration no longer allows http URLs"}
	}
	if x.url.Scheme != "https" && x.url.Scheme != "http" {
		return Response{Failure: "the webhook's URL is not one"}
	}
	if s.destinations.Proxy != nil {
		// The proxy makes the connection, out of the dialer's sight.
		if x.resolved, err = s.resolve(ctx, x); err != nil {
			return x.failed(ctx, err, connecting)
		}
	}
	r, unsent := s.try(ctx, x)
	if unsent {
		r, _ = s.try(ctx, x)
	}
	return r
}

// try makes the request. Unsent means that it failed, and the endpoint has seen
// nothing of it.
func (s *Sender) try(ctx context.Context, x *exchange) (r Response, unsent bool) {
	c, at, err := s.connection(ctx, x)
	if err != nil {
		return x.failed(ctx, err, at), false
	}
	r, keep, unsent := c.exchange(ctx, x)
	s.connections.release(c, keep)
	return r, unsent
}

// connection takes one that is kept, or makes one. A failure comes with how far
// it got.
func (s *Sender) connection(ctx context.Context, x *exchange) (*kept, phase, error) {
	to := endpoint{x.url.Scheme, x.url.Host}
	if c := s.connections.take(to, x.deadline); c != nil {
		return c, waiting, nil
	}
	ctx, cancel := context.WithDeadline(ctx, x.deadline)
	defer cancel()
	dial := s.dial
	if s.destinations.Proxy != nil {
		dial = s.dialThroughProxy
	}
	c, at, err := dial(ctx, x)
	if err != nil {
		return nil, at, err
	}
	return s.connections.add(to, c), waiting, nil
}
