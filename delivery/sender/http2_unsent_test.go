package sender

import (
	"crypto/tls"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// heldConn is a connection that may take no more bytes.
type heldConn struct {
	*net.TCPConn
	hold   atomic.Bool
	ended  sync.Once
	closed chan struct{}
}

func (c *heldConn) Write(p []byte) (int, error) {
	if c.hold.Load() {
		<-c.closed
		return 0, net.ErrClosed
	}
	return c.TCPConn.Write(p)
}

func (c *heldConn) Close() error {
	c.ended.Do(func() { close(c.closed) })
	return c.TCPConn.Close()
}

// held makes a connection for the pool that can be held.
func held(t *testing.T, s *Sender, url string) (*gatheredConn, *heldConn) {
	t.Helper()
	to := endpoint{scheme: "https", host: strings.TrimPrefix(url, "https://")}
	tcp, err := s.dialer.DialContext(t.Context(), "tcp", to.host)
	if err != nil {
		t.Fatal(err)
	}
	held := &heldConn{TCPConn: tcp.(*net.TCPConn), closed: make(chan struct{})}
	line, err := newLine(held)
	if err != nil {
		t.Fatal(err)
	}
	secure := tls.Client(line, s.tlsConfig("127.0.0.1", line))
	if err := secure.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := s.speakHTTP2(t.Context(), secure, line, to.host)
	if err != nil {
		t.Fatal(err)
	}
	gathered := conn.(*http2Conn).gathered
	<-gathered.settled
	s.pool.begin(to)
	s.pool.put(s.pool.add(to, conn, false), forever)
	return gathered, held
}

// If a connection ends since the endpoint breaks the protocol, the requests of which nothing
// has been sent are sent again, and no others.
func TestUnsentRequestIsSentAgain(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	var requests atomic.Int32
	first := make(chan stream, 1)
	url, connections := frames(t, ca, func(s stream) {
		n := requests.Add(1)
		s.answer204()
		if n == 1 {
			first <- s
		}
	})
	s := newSender(t, trusting(ca))
	c, held := held(t, s, url)
	is := func(state func() bool) func() bool {
		return func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return state()
		}
	}
	m := message(url)
	s.Send(t.Context(), m).want(t, Response{StatusCode: 204})
	eventually(t, "all is written", is(func() bool { return !c.writing }))
	held.hold.Store(true)
	before := c.mark()
	var all sync.WaitGroup
	all.Go(func() { s.Send(t.Context(), m).want(t, Response{Failure: notHTTPAnswer}) })
	eventually(t, "a request is being sent", is(func() bool { return c.handedOver > before }))
	long := m
	long.Body = make([]byte, 5<<10)
	all.Go(func() { s.Send(t.Context(), long).want(t, Response{StatusCode: 204}) })
	eventually(t, "another waits behind it", is(func() bool { return c.waiting != nil && len(*c.waiting) > 5<<10 }))
	_ = (<-first).WriteSettingsAck() // a second one
	all.Wait()
	if requests.Load() != 2 || connections.Load() != 2 {
		t.Errorf("%d requests came on %d connections", requests.Load(), connections.Load())
	}
}
