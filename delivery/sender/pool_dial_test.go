package sender

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// waitFor waits until so many requests wait for a connection that another one makes.
func (p *pool) waitFor(t *testing.T, url string, requests int) {
	t.Helper()
	eventually(t, "requests wait for a connection", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		siblings := p.endpoints[endpoint{scheme: "https", host: strings.TrimPrefix(url, "https://")}]
		return siblings != nil && siblings.dialling != nil && siblings.dialling.waiting == requests
	})
}

// late starts a TLS server that only looks at the first connection when it may, and counts
// all of them.
func late(t *testing.T, ca *authority, protocol string, begin chan struct{}, handle func(*tls.Conn)) (url string, connections *atomic.Int32) {
	t.Helper()
	connections = new(atomic.Int32)
	config := &tls.Config{Certificates: []tls.Certificate{ca.issue()}, NextProtos: []string{protocol}}
	return "https://" + serve(t, func(tcp net.Conn) {
		if connections.Add(1) == 1 {
			<-begin
		}
		handle(tls.Server(tcp, config))
	}), connections
}

// answerHTTP makes a server of net/http the handler of connections.
func answerHTTP(t *testing.T, handler http.Handler) func(*tls.Conn) {
	t.Helper()
	accepted := make(chan net.Conn)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(&oneByOne{accepted, t.Context()}) }()
	t.Cleanup(func() { _ = server.Close() })
	return func(conn *tls.Conn) {
		if conn.HandshakeContext(t.Context()) == nil {
			accepted <- conn
			<-t.Context().Done()
		}
	}
}

// oneByOne is a listener that is handed its connections.
type oneByOne struct {
	accepted chan net.Conn
	ctx      context.Context
}

func (l *oneByOne) Accept() (net.Conn, error) {
	select {
	case conn := <-l.accepted:
		return conn, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

func (*oneByOne) Close() error   { return nil }
func (*oneByOne) Addr() net.Addr { return &net.TCPAddr{} }

// Of requests that come together when there is no connection, one makes it, and the others
// wait for it, if the endpoint speaks HTTP/2. If not, they make their own.
func TestFirstRequests(t *testing.T) {
	t.Parallel()
	const requests = 10
	for protocol, want := range map[string]int32{"h2": 1, "http/1.1": requests} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			ca := newAuthority(t)
			g := newGate()
			begin := make(chan struct{})
			url, connections := late(t, ca, protocol, begin, answerHTTP(t, g))
			s := newSender(t, trusting(ca))
			s.pool.patience = time.Hour
			go func() {
				s.pool.waitFor(t, url, requests-1)
				close(begin)
			}()
			g.together(t, s, message(url), requests)
			if n := connections.Load(); n != want {
				t.Errorf("they took %d connections", n)
			}
		})
	}
}

// If the connection that requests wait for cannot be made, each makes one, and has a failure
// of its own.
func TestFirstConnectionFails(t *testing.T) {
	t.Parallel()
	const requests = 5
	ca := newAuthority(t)
	begin := make(chan struct{})
	url, connections := late(t, ca, "h2", begin, func(conn *tls.Conn) { _ = conn.NetConn().Close() })
	s := newSender(t, trusting(ca))
	s.pool.patience = time.Hour
	var all sync.WaitGroup
	for range requests {
		all.Go(func() {
			s.Send(t.Context(), message(url)).want(t, Response{Failure: "the connection was closed during the TLS handshake"})
		})
	}
	s.pool.waitFor(t, url, requests-1)
	close(begin)
	all.Wait()
	if n := connections.Load(); n != requests {
		t.Errorf("they made %d connections", n)
	}
}

// If the connection that requests wait for hangs, they make others before their time is up.
func TestFirstConnectionHangs(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	begin := make(chan struct{})
	url, _ := late(t, ca, "h2", begin, answerHTTP(t, http.HandlerFunc(noContent)))
	s := newSender(t, trusting(ca))
	var all sync.WaitGroup
	all.Go(func() { s.Send(t.Context(), message(url)).want(t, Response{StatusCode: 204}) })
	s.pool.waitFor(t, url, 0)
	s.Send(t.Context(), message(url)).want(t, Response{StatusCode: 204})
	close(begin)
	all.Wait()
}

// If all connections hang, each request says where its own does, when its time is up.
func TestAllConnectionsHang(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	url := "https://" + serve(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	s := newSender(t, trusting(ca))
	m := message(url)
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			r, timeout := sendUntil(t, s, m, func(r Response) bool { return strings.HasPrefix(r.Failure, "no TLS handshake") })
			r.want(t, Response{
				TimedOut: true,
				Failure:  "no TLS handshake with " + strings.TrimPrefix(url, "https://") + " within " + timeout.String(),
			})
		})
	}
	all.Wait()
}

// However many connections that others make come to nothing, one after the other, a request
// makes its own before long.
func TestPatienceIsForAllConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pool
		p.init(10)
		began := time.Now()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				_, d := p.getOrBegin(t.Context(), endpoint{scheme: "https", host: "a.example"}, began.Add(time.Minute))
				if waited := time.Since(began); waited > dialPatience {
					t.Errorf("a request waited for %s", waited)
				}
				time.Sleep(dialPatience / 5) // it dials
				p.end(d, true)
			})
		}
		all.Wait()
	})
}

// No more requests wait for a connection than it will take.
func TestNoMoreWaitThanThereIsRoomFor(t *testing.T) {
	t.Parallel()
	var p pool
	p.init(10)
	to := endpoint{scheme: "https", host: "a.example"}
	first, _ := p.joinOrBegin(to, true)
	p.settled(first, 3)
	var began []*dialling
	for range 6 {
		if d, joined := p.joinOrBegin(to, true); !joined {
			began = append(began, d)
		}
	}
	if first.waiting != 2 || len(began) != 2 || began[0].waiting != 2 || began[1].waiting != 0 {
		t.Errorf("%d wait for the first; then began %d", first.waiting, len(began))
	}
	if d, joined := p.joinOrBegin(to, false); joined || d.waiting != 0 {
		t.Error("who may not wait does")
	}
}

// A request waits for a part of its time, and until it is cancelled.
func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	for timeout, want := range map[time.Duration]time.Duration{
		time.Minute: dialPatience, time.Second: time.Second / 4, -time.Second: 0,
	} {
		synctest.Test(t, func(t *testing.T) {
			p := pool{patience: dialPatience}
			d := &dialling{done: make(chan struct{})}
			began := time.Now()
			if d.wait(t.Context(), p.giveUp(began.Add(timeout))) || time.Since(began) != want {
				t.Errorf("with %s, it waited for %s", timeout, time.Since(began))
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			began = time.Now()
			if d.wait(ctx, p.giveUp(began.Add(time.Minute))) || time.Since(began) != 0 {
				t.Error("it waited though it was cancelled")
			}
		})
	}
}
