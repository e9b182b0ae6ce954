//go:build !unix

package sender

import (
	"net"
	"time"
)

// peekMovesDeadline says that the deadline must be set again after a peek.
const peekMovesDeadline = true

// peeker waits a moment for what may have come to a socket, where there is no way
// to ask.
type peeker struct{ conn net.Conn }

func (p *peeker) init(conn net.Conn) error {
	p.conn = conn
	return nil
}

func (p *peeker) Read(b []byte) (int, error) {
	if err := p.conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return 0, err
	}
	return p.conn.Read(b)
}
