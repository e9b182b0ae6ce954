package sender

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"time"
)

// connection is one to an endpoint, of whatever protocol.
type connection interface {
	roundTrip(ctx context.Context, req *request) outcome
	// shared says whether it takes several requests at a time.
	shared() bool
	// ready says whether it takes a request now, which then must follow. One that
	// is not shared is only asked while it is idle; its next request will be over
	// by the deadline.
	ready(deadline time.Time) bool
	// close closes it, and ends what is in flight.
	close()
}

// dial makes a connection to the endpoint of a request, whose deadline is the
// context's.
func (s *Sender) dial(ctx context.Context, req *request) (connection, error) {
	host, port := hostPort(req.url)
	conn, err := s.dialTCP(ctx, req, port)
	if err != nil {
		return nil, err
	}
	line, err := newLine(conn)
	line.identity = req.identity
	if err == nil {
		err = line.SetDeadline(req.deadline)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	if req.url.Scheme == "http" {
		return newHTTP1Conn(line, line), nil
	}
	secure := tls.Client(line, s.tlsConfig(host, line))
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = line.Close()
		return nil, s.handshakeError(err, line)
	}
	if secure.ConnectionState().NegotiatedProtocol != "h2" {
		return newHTTP1Conn(secure, line), nil
	}
	return s.speakHTTP2(ctx, secure, line, net.JoinHostPort(host, port))
}

// speakHTTP2 begins to speak HTTP/2 on a connection of TLS. If that fails, the line is
// closed.
func (s *Sender) speakHTTP2(ctx context.Context, secure net.Conn, line *line, address string) (connection, error) {
	gathered := gather(secure, line)
	client, err := s.transport.NewClientConn(context.WithValue(ctx, establishedKey{}, gathered), "http", address)
	if err != nil {
		_ = line.Close()
		return nil, err
	}
	// The connection outlives this request. If it has ended already, the request tells.
	_ = line.SetDeadline(time.Time{})
	return &http2Conn{client: client, line: line, settled: gathered.settled, gathered: gathered}, nil
}

// dialTCP connects to an address of the URL's host that requests may go to. What it checked
// is what it dials.
func (s *Sender) dialTCP(ctx context.Context, req *request, port string) (net.Conn, error) {
	addrs, refused := s.resolve(ctx, req.url)
	if len(addrs) == 0 {
		return nil, refused
	}
	addrs = alternate(addrs)
	addrs = addrs[:min(len(addrs), maxAddresses)]
	return dialAny(ctx, addrs, min(fallbackDelay, share(req.deadline, len(addrs))),
		func(ctx context.Context, addr netip.Addr) (net.Conn, error) {
			return s.dialer.DialContext(ctx, "tcp", net.JoinHostPort(addr.String(), port))
		},
		func(late net.Conn) { _ = late.Close() },
	)
}

// tlsConfig is for one connection to a host. It notes whether the endpoint asks for a client
// certificate, and sends that of the line's identity, if there is one.
func (s *Sender) tlsConfig(host string, line *line) *tls.Config {
	config := s.tls.Clone()
	config.ServerName = host
	cert := new(tls.Certificate)
	if line.identity != nil {
		cert, config.ClientSessionCache = &line.identity.cert, line.identity.sessions
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		line.clientCertWanted.Store(true)
		return cert, nil
	}
	return config
}

func (s *Sender) handshakeError(err error, line *line) error {
	return &tlsError{err: err, ownCAs: s.destinations.TrustedCAs != nil, clientCertWanted: line.clientCertWanted.Load(), identity: line.identity}
}

// establishedKey is where the context of NewClientConn has the connection that is
// established already.
type establishedKey struct{}

// dialEstablished is what net/http's Transport dials by.
func dialEstablished(ctx context.Context, _, _ string) (net.Conn, error) {
	conn, ok := ctx.Value(establishedKey{}).(*gatheredConn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return conn, nil
}

// hostPort is where to connect to.
func hostPort(u *url.URL) (host, port string) {
	host, port = u.Hostname(), u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return host, port
}
