package sender

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// schemes runs a test without and with TLS. The handler of a connection gets the connection
// and the TCP connection below it.
func schemes(t *testing.T, test func(t *testing.T, start func(handle func(conn net.Conn, tcp *net.TCPConn)) (*Sender, Message))) {
	t.Run("http", func(t *testing.T) {
		t.Parallel()
		test(t, func(handle func(net.Conn, *net.TCPConn)) (*Sender, Message) {
			return newSender(t), message("http://" + serve(t, func(conn net.Conn) { handle(conn, conn.(*net.TCPConn)) }))
		})
	})
	t.Run("https", func(t *testing.T) {
		t.Parallel()
		ca := newAuthority(t)
		test(t, func(handle func(net.Conn, *net.TCPConn)) (*Sender, Message) {
			return newSender(t, trusting(ca)), message("https://" + serve(t, secured(ca, func(conn *tls.Conn) {
				handle(conn, conn.NetConn().(*net.TCPConn))
			})))
		})
	})
}

// idleChanges are what may happen to a connection while it is idle, and whether it is used again.
var idleChanges = []struct {
	name   string
	change func(conn net.Conn, tcp *net.TCPConn)
	kept   bool
}{
	{"nothing", func(net.Conn, *net.TCPConn) {}, true},
	{"closed", func(conn net.Conn, _ *net.TCPConn) { _ = conn.Close() }, false},
	{"half closed", func(_ net.Conn, tcp *net.TCPConn) { _ = tcp.CloseWrite() }, false},
	{"half closed by its protocol", func(conn net.Conn, _ *net.TCPConn) {
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}, false},
	{"reset", func(_ net.Conn, tcp *net.TCPConn) {
		_ = tcp.SetLinger(0)
		_ = tcp.Close()
	}, false},
	{"an answer to nothing", func(conn net.Conn, _ *net.TCPConn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n")
	}, false},
	{"noise", func(_ net.Conn, tcp *net.TCPConn) { _, _ = io.WriteString(tcp, "\n\n\n\n\n\n\n\n") }, false},
}

// The sender notices what has happened to an idle connection before it uses it.
func TestIdleConnectionIsCheckedBeforeUse(t *testing.T) {
	t.Parallel()
	for _, tc := range idleChanges {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			schemes(t, func(t *testing.T, start func(func(net.Conn, *net.TCPConn)) (*Sender, Message)) {
				var connections atomic.Int32
				s, m := start(func(conn net.Conn, tcp *net.TCPConn) {
					first := connections.Add(1) == 1
					in := bufio.NewReader(conn)
					for {
						request, err := http.ReadRequest(in)
						if err != nil {
							break
						}
						_, _ = io.Copy(io.Discard, request.Body)
						if _, err := io.WriteString(conn, answerOK); err != nil {
							break
						}
						if first {
							tc.change(conn, tcp)
							first = false
						}
					}
					_, _ = io.Copy(io.Discard, tcp) // until the client closes it
				})
				s.Send(t.Context(), m).want(t, Response{StatusCode: 200, Body: "ok"})
				want := int32(1)
				if !tc.kept {
					want = 2
					eventually(t, "the connection is seen to be useless", func() bool { return !peekAtIdle(s) })
				}
				s.Send(t.Context(), m).want(t, Response{StatusCode: 200, Body: "ok"})
				if n := connections.Load(); n != want {
					t.Errorf("it took %d connections", n)
				}
			})
		})
	}
}

// A connection may fail between the check and the request. The request is sent again only
// if nothing was sent.
func TestSecondTry(t *testing.T) {
	t.Parallel()
	schemes(t, func(t *testing.T, start func(func(net.Conn, *net.TCPConn)) (*Sender, Message)) {
		var connections, received atomic.Int32
		s, m := start(func(conn net.Conn, tcp *net.TCPConn) {
			connections.Add(1)
			readRequest(conn)
			received.Add(1)
			_, _ = io.WriteString(conn, answerOK)
			<-t.Context().Done() // until the test ends
			_ = tcp.Close()
		})
		s.Send(t.Context(), m).want(t, Response{StatusCode: 200, Body: "ok"})
		for range 2 {
			first := s.pool.newest.connection.(*http1Conn)
			if err := first.line.Conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if !peekAtIdle(s) {
				t.Fatal("the connection is not to be seen as closed")
			}
			s.Send(t.Context(), m).want(t, Response{StatusCode: 200, Body: "ok"})
		}
		if connections.Load() != 3 || received.Load() != 3 {
			t.Errorf("three requests came as %d, by %d connections", received.Load(), connections.Load())
		}
	})
}

// gate is a handler that answers requests when it is told to.
type gate struct {
	entered chan struct{}
	leave   chan struct{}
}

func newGate() *gate { return &gate{make(chan struct{}), make(chan struct{})} }

func (g *gate) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	g.entered <- struct{}{}
	<-g.leave
	w.WriteHeader(http.StatusNoContent)
}

// together sends a message several times at once.
func (g *gate) together(t *testing.T, s *Sender, m Message, times int) {
	t.Helper()
	var all sync.WaitGroup
	for range times {
		all.Go(func() { s.Send(t.Context(), m).want(t, Response{StatusCode: 204}) })
	}
	for range times {
		<-g.entered
	}
	for range times {
		g.leave <- struct{}{}
	}
	all.Wait()
}

// counting starts a server that counts its open connections.
func counting(t *testing.T, handler http.Handler) (url string, open *atomic.Int32) {
	t.Helper()
	open = new(atomic.Int32)
	server := httptest.NewUnstartedServer(handler)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		case http.StateActive, http.StateHijacked, http.StateIdle:
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL, open
}

func TestIdleConnectionsAreLimited(t *testing.T) {
	t.Parallel()
	// 8 connections are kept: more than a webhook has requests, since several webhooks may
	// have the same endpoint.
	s := newSender(t, func(c *Config) { c.Concurrency = 2 })
	var open []*atomic.Int32
	for _, round := range []struct {
		requests int // made at once to a new endpoint
		open     []int32
	}{
		{5, []int32{5}},
		{2, []int32{5, 2}},
		{5, []int32{1, 2, 5}}, // those idle for the longest time are closed
		{5, []int32{0, 0, 3, 5}},
	} {
		g := newGate()
		url, count := counting(t, g)
		open = append(open, count)
		g.together(t, s, message(url), round.requests)
		for i, want := range round.open {
			eventually(t, fmt.Sprintf("of the connections to endpoint %d, %d are left", i, want), func() bool { return open[i].Load() == want })
		}
	}
}

// The connection that was used last is the one that most likely still works.
func TestMostRecentConnectionIsUsedFirst(t *testing.T) {
	t.Parallel()
	address := make(chan string, 10)
	g := newGate()
	url, _ := counting(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address <- r.RemoteAddr
		if r.URL.Path == "/together" {
			g.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	s := newSender(t)
	g.together(t, s, message(url+"/together"), 3)
	for range 3 {
		<-address
	}
	s.Send(t.Context(), message(url)).want(t, Response{StatusCode: 204})
	first := <-address
	for range 3 {
		s.Send(t.Context(), message(url)).want(t, Response{StatusCode: 204})
		if again := <-address; again != first {
			t.Errorf("a request came from %s, the last one from %s", again, first)
		}
	}
}

func TestIdleConnectionsAreClosedInTime(t *testing.T) {
	t.Parallel()
	url, open := counting(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	s := newSender(t)
	s.pool.idleTimeout = 10 * time.Millisecond
	for range 3 {
		s.Send(t.Context(), message(url)).want(t, Response{StatusCode: 204})
		eventually(t, "the connection is closed", func() bool { return open.Load() == 0 })
	}
}

// timedConnection notes when it is closed.
type timedConnection struct {
	connection
	began time.Time
	lived time.Duration
}

func (*timedConnection) shared() bool         { return false }
func (*timedConnection) ready(time.Time) bool { return true }
func (c *timedConnection) close()             { c.lived = time.Since(c.began) }

// Each idle connection is closed when its own time is up. One timer does this, which stops
// when there is none. The test has no network, which would not follow the test's clock.
func TestTimeOfIdleConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pool
		p.init(10)
		var all []*timedConnection
		for _, after := range []time.Duration{0, 10 * time.Second, 50 * time.Second, time.Hour} {
			time.Sleep(after)
			conn := &timedConnection{began: time.Now()}
			all = append(all, conn)
			p.begin(endpoint{})
			p.put(p.add(endpoint{}, conn, false), forever)
		}
		time.Sleep(idleConnTimeout)
		synctest.Wait()
		for i, conn := range all {
			if conn.lived != idleConnTimeout {
				t.Errorf("connection %d was closed after %s", i, conn.lived)
			}
		}
		if p.timerSet || p.idle != 0 || len(p.endpoints) != 0 {
			t.Errorf("left are %d connections to %d endpoints, and the timer set: %t", p.idle, len(p.endpoints), p.timerSet)
		}
	})
}
