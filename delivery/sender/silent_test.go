package sender

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
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
	s.transport.HTTP2.PingTimeout = time.Second
	m := message("https://" + n.address)
	s.Send(t.Context(), m).want(t, Response{StatusCode: 204})
	n.forget()
	s.Send(t.Context(), m).want(t, Response{StatusCode: 204})
	s.Send(t.Context(), m).want(t, Response{StatusCode: 204})
	if paths := len(n.present()); paths != 2 {
		t.Errorf("it took %d connections", paths)
	}
}
