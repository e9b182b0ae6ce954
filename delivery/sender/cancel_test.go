package sender

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
)

// When the context ends, the request ends, whatever it is doing, and so does its connection
// unless others share it. This does not count as a timeout.
func TestCancelBreaksOff(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.issue()}, NextProtos: []string{"h2"}}
	begun := func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) }
	overTLS := func(handle func(net.Conn)) func(net.Conn) { return secured(ca, func(conn *tls.Conn) { handle(conn) }) }
	overHTTP2 := func(handle func(net.Conn)) func(net.Conn) {
		return func(conn net.Conn) { handle(tls.Server(conn, config)) }
	}
	const half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
	for _, tc := range []struct {
		name, scheme string
		length       int
		handle       func(net.Conn) // returns when the request is to be cancelled
		shared       bool
	}{
		{"within the handshake", "https", 10, begun, false},
		{"within a long request", "http", 8 << 20, begun, false},
		{"within a long request over TLS", "https", 8 << 20, overTLS(begun), false},
		{"before a response", "http", 10, answering(""), false},
		{"before a response over TLS", "https", 10, overTLS(answering("")), false},
		{"before a response over HTTP/2", "https", 10, overHTTP2(begun), true},
		{"within the headers", "http", 10, answering("HTTP/1.1 200 OK\r\nA: "), false},
		{"within a response", "http", 10, answering(half), false},
		{"within a response over TLS", "https", 10, overTLS(answering(half)), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			closed := make(chan struct{})
			m := message(tc.scheme + "://" + serve(t, func(conn net.Conn) {
				tc.handle(conn)
				cancel()
				_, _ = io.Copy(io.Discard, conn)
				close(closed)
			}))
			m.Body = make([]byte, tc.length)
			s := newSender(t, trusting(ca))
			r := s.Send(ctx, m)
			if r.Failure == "" || r.TimedOut || !errors.Is(r.Cause, context.Canceled) {
				t.Errorf("got %+v", r)
			}
			if !tc.shared {
				<-closed
			}
			if kept := s.pool.idle; kept > 0 != tc.shared {
				t.Errorf("%d connections are kept", kept)
			}
		})
	}
}

// A request whose context has ended is not made.
func TestCancelledBeforeItBegins(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := newSender(t).Send(ctx, message("http://"+serve(t, answering(answerOK))))
	if r.Failure == "" || r.TimedOut || !errors.Is(r.Cause, context.Canceled) {
		t.Errorf("got %+v", r)
	}
}
