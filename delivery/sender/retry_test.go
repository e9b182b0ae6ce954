package sender

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// ending is a server of raw HTTP/1 that answers, on each of its first connections,
// one request, and does with the next what the test says. It answers all on later
// ones.
type ending struct {
	first    int32 // connections
	end      func(in *bufio.Reader, conn net.Conn, tcp *net.TCPConn)
	opened   atomic.Int32
	received atomic.Int32
}

func (e *ending) handle(conn net.Conn, tcp *net.TCPConn) {
	ends := e.opened.Add(1) <= e.first
	in := bufio.NewReader(conn)
	for requests := 0; ; requests++ {
		if _, err := in.Peek(1); err != nil {
			return
		}
		e.received.Add(1)
		if ends && requests > 0 {
			e.end(in, conn, tcp)
			return
		}
		request, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, request.Body)
		_, _ = io.WriteString(conn, answerOK)
	}
}

// whole reads the whole request before the connection ends.
func whole(in *bufio.Reader) {
	if request, err := http.ReadRequest(in); err == nil {
		_, _ = io.Copy(io.Discard, request.Body)
	}
}

// An endpoint may close a connection that was idle just when a request is on its
// way. That request is sent again, once, on a new connection.
func TestConnectionIsLost(t *testing.T) {
	t.Parallel()
	const closed = "the connection was closed before a response came"
	again := Response{StatusCode: 200, Body: "ok"}
	for _, tc := range []struct {
		name string
		end  func(in *bufio.Reader, conn net.Conn, tcp *net.TCPConn)
		want Response
	}{
		{"closed", func(in *bufio.Reader, conn net.Conn, _ *net.TCPConn) {
			whole(in)
			_ = conn.Close()
		}, again},
		{"closed below TLS", func(in *bufio.Reader, _ net.Conn, tcp *net.TCPConn) {
			whole(in)
			_ = tcp.Close()
		}, again},
		{"closed before the request was read", func(*bufio.Reader, net.Conn, *net.TCPConn) {}, again},
		{"reset", func(in *bufio.Reader, _ net.Conn, tcp *net.TCPConn) {
			whole(in)
			_ = tcp.SetLinger(0)
			_ = tcp.Close()
		}, again},
		{"closed within a response", func(in *bufio.Reader, conn net.Conn, _ *net.TCPConn) {
			whole(in)
			_, _ = io.WriteString(conn, "HTTP/1.1 102 Processing\r\n\r\n")
		}, Response{Failure: closed}},
	} {
		for _, length := range []int{100, maxAtOnce + 1, 8 << 20} {
			t.Run(fmt.Sprintf("%s, %d bytes", tc.name, length), func(t *testing.T) {
				t.Parallel()
				schemes(t, func(t *testing.T, start func(func(net.Conn, *net.TCPConn)) (*Sender, Message)) {
					e := &ending{first: 1, end: tc.end}
					s, m := start(e.handle)
					m.Body = make([]byte, length)
					s.Send(t.Context(), m).want(t, again)
					s.Send(t.Context(), m).want(t, tc.want)
					if tc.want == again && (e.received.Load() != 3 || e.opened.Load() != 2) {
						t.Errorf("two requests came as %d, by %d connections", e.received.Load(), e.opened.Load())
					}
				})
			})
		}
	}
}

// If an idle connection turns out to be closed, others may be closed as well: the
// second try does not use them.
func TestLostConnectionsAreMany(t *testing.T) {
	t.Parallel()
	schemes(t, func(t *testing.T, start func(func(net.Conn, *net.TCPConn)) (*Sender, Message)) {
		const many = 5
		arrived, leave := make(chan struct{}), make(chan struct{})
		e := &ending{first: many, end: func(in *bufio.Reader, _ net.Conn, _ *net.TCPConn) { whole(in) }}
		s, m := start(func(conn net.Conn, tcp *net.TCPConn) {
			if e.opened.Load() < many {
				arrived <- struct{}{}
				<-leave
			}
			e.handle(conn, tcp)
		})
		var all sync.WaitGroup
		for range many {
			all.Go(func() { s.Send(t.Context(), m).want(t, Response{StatusCode: 200, Body: "ok"}) })
		}
		for range many {
			<-arrived
		}
		close(leave)
		all.Wait()
		s.Send(t.Context(), m).want(t, Response{StatusCode: 200, Body: "ok"})
		if e.received.Load() != many+2 || e.opened.Load() != many+1 {
			t.Errorf("%d requests came as %d, by %d connections", many+1, e.received.Load(), e.opened.Load())
		}
	})
}

// A request that is lost with a connection made for it has failed: it is not sent
// again behind the log's back.
func TestRequestIsSentOnce(t *testing.T) {
	t.Parallel()
	schemes(t, func(t *testing.T, start func(func(net.Conn, *net.TCPConn)) (*Sender, Message)) {
		var received atomic.Int32
		s, m := start(func(conn net.Conn, _ *net.TCPConn) {
			readRequest(conn)
			received.Add(1)
		})
		s.Send(t.Context(), m).want(t, Response{Failure: "the connection was closed before a response came"})
		if n := received.Load(); n != 1 {
			t.Errorf("a request reached the server as %d", n)
		}
	})
	t.Run("after a second try", func(t *testing.T) {
		t.Parallel()
		schemes(t, func(t *testing.T, start func(func(net.Conn, *net.TCPConn)) (*Sender, Message)) {
			var received atomic.Int32
			s, m := start(func(conn net.Conn, _ *net.TCPConn) {
				readRequest(conn)
				if received.Add(1) == 1 {
					_, _ = io.WriteString(conn, answerOK)
					readRequest(conn)
					received.Add(1)
				}
			})
			s.Send(t.Context(), m).want(t, Response{StatusCode: 200, Body: "ok"})
			s.Send(t.Context(), m).want(t, Response{Failure: "the connection was closed before a response came"})
			if n := received.Load(); n != 3 {
				t.Errorf("two requests reached the server as %d", n)
			}
		})
	})
}

// The same for connections through a proxy.
func TestConnectionThroughProxyIsLost(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	for _, scheme := range []string{"http", "https"} {
		for _, tc := range []struct {
			name string
			end  string // what comes before the end
			want Response
		}{
			{"closed", "", Response{StatusCode: 200, Body: "ok"}},
			{"closed within a response", "HTTP/1.1 102 Processing\r\n\r\n", Response{Failure: "the connection was closed before a response came"}},
		} {
			t.Run(scheme+", "+tc.name, func(t *testing.T) {
				t.Parallel()
				e := &ending{first: 1, end: func(in *bufio.Reader, conn net.Conn, _ *net.TCPConn) {
					whole(in)
					_, _ = io.WriteString(conn, tc.end)
				}}
				handle := func(conn net.Conn) { e.handle(conn, nil) }
				if scheme == "https" {
					handle = secured(ca, func(conn *tls.Conn) { e.handle(conn, nil) })
				}
				proxy := newConnectProxy(t, http.StatusOK, nil)
				s := newSender(t, trusting(ca), func(c *Config) { c.Destinations.Proxy = proxy.url })
				m := message(scheme + "://" + serve(t, handle))
				s.Send(t.Context(), m).want(t, Response{StatusCode: 200, Body: "ok"})
				s.Send(t.Context(), m).want(t, tc.want)
			})
		}
	}
}
