//go:build unix

package sender

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// lookMovesDeadline says that the deadline must be set again after a look.
const lookMovesDeadline = false

// look reads what has come to a socket.
type look struct {
	raw syscall.RawConn
	// read is made once, since it is called for each request: it reads into p.
	read func(fd uintptr) (done bool)
	p    []byte
	n    int
	err  error
}

func (l *look) init(conn net.Conn) (err error) {
	tcp, ok := conn.(syscall.Conn)
	if !ok {
		return errors.ErrUnsupported
	}
	l.read = func(fd uintptr) bool {
		for {
			if l.n, l.err = syscall.Read(int(fd), l.p); !errors.Is(l.err, syscall.EINTR) {
				return true
			}
		}
	}
	l.raw, err = tcp.SyscallConn()
	return err
}

func (l *look) Read(p []byte) (int, error) {
	l.p = p
	err := l.raw.Read(l.read)
	l.p = nil
	switch {
	case err != nil:
		return 0, err
	case errors.Is(l.err, syscall.EAGAIN):
		return 0, os.ErrDeadlineExceeded
	case l.err != nil:
		return 0, l.err
	case l.n == 0:
		return 0, io.EOF
	}
	return l.n, nil
}
