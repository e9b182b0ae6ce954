package sender

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// network is what lies between the sender and a server.
type network struct {
	address string
	mu      sync.Mutex
	paths   []*path
}

// path is one connection through the network.
type path struct {
	dead    atomic.Bool
	forward sync.Mutex
}

func newNetwork(t *testing.T, to net.Addr) *network {
	t.Helper()
	n := new(network)
	n.address = serve(t, func(conn net.Conn) {
		p := new(path)
		n.mu.Lock()
		n.paths = append(n.paths, p)
		n.mu.Unlock()
		var dialer net.Dialer
		onward, err := dialer.DialContext(t.Context(), "tcp", to.String())
		if err != nil {
			return
		}
		defer func() { _ = onward.Close() }()
		go p.copy(onward, conn)
		p.copy(conn, onward)
	})
	return n
}

func (p *path) copy(to, from net.Conn) {
	packet := make([]byte, 64<<10)
	for {
		n, err := from.Read(packet)
		if err != nil {
			_ = to.Close()
			return
		}
		p.forward.Lock()
		if !p.dead.Load() {
			_, _ = to.Write(packet[:n])
		}
		p.forward.Unlock()
	}
}

// forget drops all that is sent on the present connections from now on, as a NAT
// does that has lost its table.
func (n *network) forget() {
	for _, p := range n.present() {
		p.dead.Store(true)
	}
}

// hold makes the network keep what is sent on the present connections, until it is
// released.
func (n *network) hold() (release func()) {
	held := n.present()
	for _, p := range held {
		p.forward.Lock()
	}
	return func() {
		for _, p := range held {
			p.forward.Unlock()
		}
	}
}

func (n *network) present() []*path {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.paths[:len(n.paths):len(n.paths)]
}

func noContent(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// A connection of HTTP/2 that is found to be dead costs no attempt.
func TestDeadHTTP2ConnectionIsGivenUp(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	n := newNetwork(t, serveTLS(t, ca.issue(), noContent).Listener.Addr())
	s := newSender(t, trusting(ca))
	if pings := s.transport.HTTP2; pings.SendPingTimeout != pingAfter || pings.PingTimeout != pingTimeout {
		t.Errorf("pings are set to %+v", pings)
	}
	s.transport.HTTP2.SendPingTimeout = 50 * time.Millisecond
	s.transport.HTTP2.PingTimeout = 3 * time.Second
	m := message("https://" + n.address)
	s.Send(t.Context(), m).want(t, Response{StatusCode: 204})
	s.transport.HTTP2.SendPingTimeout = 0 // on the next connection: none
	n.forget()
	s.Send(t.Context(), m).want(t, Response{StatusCode: 204})
	s.Send(t.Context(), m).want(t, Response{StatusCode: 204})
	if paths := len(n.present()); paths != 2 {
		t.Errorf("it took %d connections", paths)
	}
}

// One request that times out is enough to find that connections are dead: that of
// the request, and those that were idle meanwhile.
func TestSilentConnectionsAreGivenUp(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	g := newGate()
	plain := httptest.NewServer(g)
	t.Cleanup(plain.Close)
	for scheme, server := range map[string]*httptest.Server{"http": plain, "https": serveTLS(t, ca.issue(), g.ServeHTTP)} {
		t.Run(scheme, func(t *testing.T) {
			n := newNetwork(t, server.Listener.Addr())
			s := newSender(t, trusting(ca))
			s.transport.HTTP2.SendPingTimeout = 0 // none
			m := message(scheme + "://" + n.address)
			g.together(t, s, m, 3)
			n.forget()
			before := len(n.present())
			sendUntil(t, s, m, incomplete)
			g.together(t, s, m, 3)
			if made := len(n.present()) - before; scheme == "http" && made != 3 {
				t.Errorf("the next requests took %d new connections", made)
			}
		})
	}
}

// What is in flight on a connection that others find silent may finish.
func TestRequestsOnSilentConnectionFinish(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	g := newGate()
	n := newNetwork(t, serveTLS(t, ca.issue(), func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			g.ServeHTTP(w, r)
			return
		}
		noContent(w, r)
	}).Listener.Addr())
	s := newSender(t, trusting(ca))
	m := message("https://" + n.address)
	s.Send(t.Context(), m).want(t, Response{StatusCode: 204})
	var inFlight sync.WaitGroup
	inFlight.Go(func() { s.Send(t.Context(), message(m.URL+"/wait")).want(t, Response{StatusCode: 204}) })
	<-g.entered
	release := n.hold()
	sendUntil(t, s, m, incomplete)
	s.Send(t.Context(), m).want(t, Response{StatusCode: 204})
	if paths := len(n.present()); paths != 2 {
		t.Errorf("it took %d connections", paths)
	}
	release()
	g.leave <- struct{}{}
	inFlight.Wait()
	if s.pool.idle != 1 {
		t.Errorf("%d connections are kept", s.pool.idle)
	}
}

// Of idle connections, only those are closed that have been idle for as long.
func TestCloseIdleBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pool
		p.init(10)
		var all []*timedConnection
		var pooled []*pooledConn
		for range 3 {
			conn := &timedConnection{began: time.Now()}
			all = append(all, conn)
			p.begin(endpoint{})
			pooled = append(pooled, p.add(endpoint{}, conn, false))
		}
		p.put(pooled[0], forever)
		time.Sleep(time.Second)
		began := time.Now()
		time.Sleep(time.Second)
		p.put(pooled[1], forever)
		p.closeIdle(pooled[2].siblings, began)
		if all[0].lived != 2*time.Second || all[1].lived != 0 || all[2].lived != 0 || p.idle != 1 {
			t.Errorf("they were closed after %s, %s and %s; %d are idle", all[0].lived, all[1].lived, all[2].lived, p.idle)
		}
		p.close()
	})
}
