package sender

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"time"
)

// connection is one to an endpoint, of whatever protocol.
type connection interface {
	// roundTrip makes a request. It says whether the connection may be kept and, if
	// the request failed, whether the endpoint has seen nothing of it.
	roundTrip(ctx context.Context, req *request) (r Response, keep, unsent bool)
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
// context's. An error comes with how far it got.
func (s *Sender) dial(ctx context.Context, req *request) (connection, phase, error) {
	to := address(req.url)
	conn, err := s.dialer.DialContext(ctx, "tcp", to)
	if err != nil {
		return nil, connecting, err
	}
	line, err := newLine(conn)
	if err == nil {
		err = line.SetDeadline(req.deadline)
	}
	if err != nil {
		_ = conn.Close()
		return nil, connecting, err
	}
	if req.url.Scheme == "http" {
		return newHTTP1Conn(line, line), waiting, nil
	}
	config := s.tls.Clone()
	config.ServerName, _, _ = net.SplitHostPort(to)
	secure := tls.Client(line, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = line.Close()
		return nil, handshaking, err
	}
	if secure.ConnectionState().NegotiatedProtocol != "h2" {
		return newHTTP1Conn(secure, line), waiting, nil
	}
	client, err := s.transport.NewClientConn(context.WithValue(ctx, establishedKey{}, secure), "https", to)
	if err != nil {
		_ = line.Close()
		return nil, waiting, err
	}
	// The connection outlives this request.
	if err := line.SetDeadline(time.Time{}); err != nil {
		_ = client.Close()
		return nil, waiting, err
	}
	return &clientConn{client: client, many: true}, waiting, nil
}

// establishedKey is where the context of NewClientConn has the connection that is
// established already.
type establishedKey struct{}

// dialEstablished is what net/http's Transport dials by.
func dialEstablished(ctx context.Context, _, _ string) (net.Conn, error) {
	conn, ok := ctx.Value(establishedKey{}).(net.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return conn, nil
}

// address is the host and port to dial.
func address(u *url.URL) string {
	host, port := u.Hostname(), u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(host, port)
}
