//go:build unix

package sender

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
)

// An endpoint may answer, and be gone, before it has read the request: if there
// is an answer, it counts. How long the request is decides how it is written.
func TestEarlyAnswers(t *testing.T) {
	t.Parallel()
	const tooLarge = "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nlong"
	for _, tc := range []struct {
		name  string
		after func(conn net.Conn, tcp *net.TCPConn)
	}{
		{"closes", func(_ net.Conn, tcp *net.TCPConn) { _ = tcp.Close() }}, // with a reset, since there is more to read
		{"half closes", func(_ net.Conn, tcp *net.TCPConn) { _ = tcp.CloseWrite() }},
		{"reads on", func(conn net.Conn, _ *net.TCPConn) { _, _ = io.Copy(io.Discard, conn) }},
		{"does nothing more", func(net.Conn, *net.TCPConn) {}},
	} {
		for _, length := range []int{100, maxAtOnce, maxAtOnce + 1, 8 << 20} {
			t.Run(fmt.Sprintf("%s, %d bytes", tc.name, length), func(t *testing.T) {
				t.Parallel()
				schemes(t, func(t *testing.T, start func(func(net.Conn, *net.TCPConn)) (*Sender, Message)) {
					s, m := start(func(conn net.Conn, tcp *net.TCPConn) {
						_, _ = conn.Read(make([]byte, 1))
						_, _ = io.WriteString(conn, tooLarge)
						tc.after(conn, tcp)
						<-t.Context().Done()
					})
					m.Body = make([]byte, length)
					s.Send(t.Context(), m).want(t, Response{StatusCode: 413, Body: "long"})
				})
			})
		}
	}
}

// The same where even a short request cannot be written: with small buffers, it
// is under way when the endpoint closes the connection.
func TestAnswerToRequestThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	small := func(option int) func(string, string, syscall.RawConn) error {
		return func(_, _ string, raw syscall.RawConn) error {
			var err error
			return errors.Join(raw.Control(func(fd uintptr) {
				err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, option, 2048)
			}), err)
		}
	}
	config := net.ListenConfig{Control: small(syscall.SO_RCVBUF)}
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s := newSender(t)
	s.dialer.ControlContext = func(_ context.Context, network, address string, raw syscall.RawConn) error {
		return small(syscall.SO_SNDBUF)(network, address, raw)
	}
	m := message("http://" + listener.Addr().String())
	m.Body = make([]byte, maxAtOnce)
	var all sync.WaitGroup
	all.Go(func() { s.Send(t.Context(), m).want(t, Response{StatusCode: 413, Body: "long"}) })
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nlong")
	_ = conn.Close()
	all.Wait()
}
