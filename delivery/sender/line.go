package sender

import (
	"net"
	"sync/atomic"
)

// line is the TCP connection below a connection of HTTP/1, with or without TLS. It
// notes whether anything was sent, and can be read without waiting.
type line struct {
	net.Conn
	// sent says that something was written since this was last set to false.
	sent bool
	// peeking makes Read take only what is there already. If there is nothing, it
	// fails as if the deadline had passed, after which TLS, too, can go on.
	peeking bool
	peeker  peeker
	// clientCertWanted says that the endpoint asked for a client certificate.
	clientCertWanted atomic.Bool
}

func newLine(conn net.Conn) (*line, error) {
	l := &line{Conn: conn}
	return l, l.peeker.init(conn)
}

func (l *line) Write(p []byte) (int, error) {
	n, err := l.Conn.Write(p)
	if n > 0 {
		l.sent = true
	}
	return n, err
}

func (l *line) Read(p []byte) (int, error) {
	if l.peeking {
		return l.peeker.Read(p)
	}
	return l.Conn.Read(p)
}
