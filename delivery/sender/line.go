package sender

import (
	"net"
	"sync/atomic"
)

// line is the TCP connection below one of HTTP, with or without TLS. It notes what
// goes over it, and can be read without waiting.
type line struct {
	net.Conn
	// sent says that something was written since this was last set to false.
	sent bool
	// received is how many bytes were read.
	received atomic.Int64
	settling // of HTTP/2 through a proxy
	// peeking makes Read take only what is there already. If there is nothing, it
	// fails as if the deadline had passed, after which TLS, too, can go on.
	peeking bool
	peeker  peeker
	// clientCertWanted says that the endpoint asked for a client certificate.
	clientCertWanted atomic.Bool
	identity         *Identity // what it is told then, or nil
}

func newLine(conn net.Conn) (*line, error) {
	l := new(line)
	return l, l.init(conn)
}

func (l *line) init(conn net.Conn) error {
	l.Conn = conn
	return l.peeker.init(conn)
}

// refusal explains why a request got no response. If it was the first on this line,
// the endpoint may want a client certificate, and say so only after the handshake.
func (l *line) refusal(err error, first bool) error {
	if first && l.clientCertWanted.Load() {
		return &tlsError{err: err, clientCertWanted: true, identity: l.identity}
	}
	return err
}

func (l *line) Write(p []byte) (int, error) {
	n, err := l.Conn.Write(p)
	if n > 0 {
		l.sent = true
	}
	l.wrote()
	return n, err
}

func (l *line) Read(p []byte) (int, error) {
	if l.peeking {
		return l.peeker.Read(p)
	}
	n, err := l.Conn.Read(p)
	l.received.Add(int64(n))
	return n, err
}
