//go:build !unix

package sender

import (
	"net"
	"time"
)

// lookMovesDeadline says that the deadline must be set again after a look.
const lookMovesDeadline = true

// look waits a moment for what may have come to a socket, where it cannot be
// asked.
type look struct{ conn net.Conn }

func (l *look) init(conn net.Conn) error {
	l.conn = conn
	return nil
}

func (l *look) Read(p []byte) (int, error) {
	if err := l.conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return 0, err
	}
	return l.conn.Read(p)
}
