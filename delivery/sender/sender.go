package sender

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"time"
)

const (
	maxResponseHeader = 64 << 10
	idleConnTimeout   = 90 * time.Second
	// idlePerRequest is how many idle connections are kept for each request that may be
	// in flight: most endpoints are sent little, and a handshake costs far more than
	// the memory of a connection.
	idlePerRequest = 4
	// A connection of HTTP/2 is shared: pings find out when it is dead, even if no
	// request times out on it.
	pingAfter   = 15 * time.Second
	pingTimeout = 5 * time.Second
	// dnsTimeout is long enough for a second DNS server: resolvers turn to it after 5 s.
	dnsTimeout = 10 * time.Second
)

// Sender makes HTTP requests to endpoints, and keeps connections to them. It follows no
// redirect. It sends a request again, within its timeout, only if the endpoint has not
// processed it, or if a connection that was used before is lost without a response. All
// methods are safe for concurrent use.
type Sender struct {
	destinations Destinations
	dialer       net.Dialer
	tls          *tls.Config
	// transport makes connections of HTTP/2. It keeps none.
	transport *http.Transport
	pool      pool
	// dnsTimeout is how long a name may be looked up.
	dnsTimeout time.Duration
}

// New makes a Sender for a configuration, which must be valid.
func New(c *Config) *Sender {
	s := &Sender{
		destinations: c.Destinations,
		dnsTimeout:   dnsTimeout,
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
	// It is given connections that speak HTTP/2, below which TLS is established already.
	s.transport.Protocols = new(http.Protocols)
	s.transport.Protocols.SetUnencryptedHTTP2(true)
	s.transport.DialContext = dialEstablished
	s.pool.init(idlePerRequest * c.Concurrency)
	return s
}

// noHeaderTable leaves no room for a header in the table by which HTTP/2 compresses them: each
// signature is another one, and would go in and drive out the others, which costs both ends
// more than it saves. Zero would mean the default.
const noHeaderTable = 1

// newTransport makes what speaks HTTP/2, and to proxies, for us.
func (s *Sender) newTransport() *http.Transport {
	return &http.Transport{
		TLSClientConfig:        s.tls.Clone(), // which it changes
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout, MaxEncoderHeaderTableSize: noHeaderTable},
		DisableCompression:     true, // the log keeps what was sent, as it was sent
		MaxResponseHeaderBytes: maxResponseHeader,
	}
}

// Close closes the idle connections now, and the others after their requests, which
// go on. More may be sent, but no connection is kept for it.
func (s *Sender) Close() { s.pool.close() }

// request is a message on its way, and when its time is up.
type request struct {
	Message
	deadline time.Time
	// resolved are the addresses that a proxy may be asked for.
	resolved []netip.Addr
}

// Send makes one POST and reads the whole response. It returns no error: whatever
// came of it is in the response. When the context ends, the request is cancelled.
func (s *Sender) Send(ctx context.Context, m Message) Response {
	req := &request{Message: m, deadline: m.Deadline}
	if req.deadline.IsZero() {
		req.deadline = time.Now().Add(m.Timeout)
	}
	switch {
	case req.urlErr != nil || req.url.Host == "" || req.url.Scheme != "https" && req.url.Scheme != "http":
		return failed("the webhook's URL is not a valid http or https URL: change it", req.urlErr)
	case req.url.Scheme == "http" && !s.destinations.AllowHTTP:
		return failed("the configuration no longer allows http URLs: change the webhook's URL to https", nil)
	}
	if s.destinations.Proxy != nil {
		if err := s.resolveForProxy(ctx, req); err != nil {
			return req.fail(ctx, err, connecting)
		}
	}
	return s.send(ctx, req)
}

// try makes the request once. Alone means on a new connection, with no other beside it.
func (s *Sender) try(ctx context.Context, req *request, alone bool) outcome {
	c, err := s.getConn(ctx, req, alone)
	if err != nil {
		return outcome{Response: req.fail(ctx, err, connecting)}
	}
	o := c.roundTrip(ctx, req)
	if alone && o.again != never {
		o.keepFor = 0 // it was made in vain
	}
	if o.silent {
		// What has been idle for as long is no more likely to live.
		s.pool.closeIdle(c.siblings, req.deadline.Add(-req.Timeout))
	}
	s.pool.put(c, o.keepFor)
	return o
}

// getConn takes a connection from the pool, or makes one.
func (s *Sender) getConn(ctx context.Context, req *request, alone bool) (*pooledConn, error) {
	to := endpoint{req.url.Scheme, req.url.Host, req.identity}
	if alone {
		s.pool.begin(to)
		return s.makeConn(ctx, req, to, nil)
	}
	c, d := s.pool.getOrBegin(ctx, to, req.deadline)
	if c != nil {
		return c, nil
	}
	c, err := s.makeConn(ctx, req, to, d)
	s.pool.end(d, err == nil)
	return c, err
}

// makeConn makes a connection, which has begun. If others may wait for it, it has a dialling.
// Otherwise no other request shares it.
func (s *Sender) makeConn(ctx context.Context, req *request, to endpoint, d *dialling) (*pooledConn, error) {
	ctx, cancel := context.WithDeadline(ctx, req.deadline)
	defer cancel()
	siblings, waited, err := s.pool.takeTurn(ctx, to)
	if err != nil {
		s.pool.abandon(to)
		return nil, err
	}
	defer s.pool.passTurn(siblings)
	if waited && d != nil { // one may be free by now
		if c := s.pool.get(to, req.deadline); c != nil {
			s.pool.abandon(to)
			return c, nil
		}
	}
	dial := s.dial
	if s.destinations.Proxy != nil {
		dial = s.dialThroughProxy
	}
	conn, err := dial(ctx, req)
	alone := d == nil
	if c, ok := conn.(*http2Conn); ok && !alone {
		// Where no other request would share the connection, to settle it would
		// cost a round trip for nothing.
		if alone = s.pool.isOnly(d); !alone {
			err = c.settle(ctx)
			s.pool.settled(d, c.client.Available())
		}
	}
	if err != nil {
		s.pool.abandon(to)
		return nil, err
	}
	return s.pool.add(to, conn, alone), nil
}
