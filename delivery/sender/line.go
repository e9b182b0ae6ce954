package sender

import "net"

// line is the TCP connection below an HTTP/1 connection, with or without TLS. It
// tells whether anything was sent, and can be looked at without waiting.
type line struct {
	net.Conn
	// sent says that something was written since this was last set to false.
	sent bool
	// looking makes Read take only what has come already. If nothing has, it is
	// as if the deadline had passed, after which TLS, too, can go on.
	looking bool
	look    look
}

func newLine(conn net.Conn) (*line, error) {
	l := &line{Conn: conn}
	return l, l.look.init(conn)
}

func (l *line) Write(p []byte) (int, error) {
	n, err := l.Conn.Write(p)
	if n > 0 {
		l.sent = true
	}
	return n, err
}

func (l *line) Read(p []byte) (int, error) {
	if l.looking {
		return l.look.Read(p)
	}
	return l.Conn.Read(p)
}
