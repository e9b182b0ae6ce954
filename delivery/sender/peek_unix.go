//go:build unix

package sender

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// peekMovesDeadline says that the deadline must be set again after a peek.
const peekMovesDeadline = false

// peeker reads what has come to a socket.
type peeker struct {
	raw syscall.RawConn
	// read reads into buf. It is made once, since it is called for each request.
	read func(fd uintptr) (done bool)
	buf  []byte
	n    int
	err  error
}

func (p *peeker) init(conn net.Conn) (err error) {
	tcp, ok := conn.(syscall.Conn)
	if !ok {
		return errors.ErrUnsupported
	}
	p.read = func(fd uintptr) bool {
		for {
			if p.n, p.err = syscall.Read(int(fd), p.buf); !errors.Is(p.err, syscall.EINTR) {
				return true
			}
		}
	}
	p.raw, err = tcp.SyscallConn()
	return err
}

func (p *peeker) Read(b []byte) (int, error) {
	p.buf = b
	err := p.raw.Read(p.read)
	p.buf = nil
	switch {
	case err != nil:
		return 0, err
	case errors.Is(p.err, syscall.EAGAIN):
		return 0, os.ErrDeadlineExceeded
	case p.err != nil:
		return 0, p.err
	case p.n == 0:
		return 0, io.EOF
	}
	return p.n, nil
}
