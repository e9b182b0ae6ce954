package sender

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// slowTLS is a TLS server of HTTP/1.1 that begins handshakes only when it may.
type slowTLS struct {
	url     string
	begin   chan struct{}
	waiting atomic.Int32 // connections
	all     atomic.Int32
}

func newSlowTLS(t *testing.T, ca *authority) *slowTLS {
	t.Helper()
	s := &slowTLS{begin: make(chan struct{})}
	config := &tls.Config{Certificates: []tls.Certificate{ca.issue()}, NextProtos: []string{"http/1.1"}}
	handle := answerHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	s.url = "https://" + serve(t, func(tcp net.Conn) {
		s.all.Add(1)
		s.waiting.Add(1)
		select {
		case <-s.begin:
		case <-t.Context().Done():
		}
		s.waiting.Add(-1)
		handle(tls.Server(tcp, config))
	})
	return s
}

// turnsAt is how many connections to an endpoint are being made, and wait for that.
func (p *pool) turnsAt(url string) (making, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	siblings := p.endpoints[endpoint{scheme: "https", host: strings.TrimPrefix(url, "https://")}]
	if siblings == nil {
		return 0, 0
	}
	return siblings.making, len(siblings.turns)
}

// However many requests there are, an endpoint that is slow to accept connections gets few
// at a time. Those that wait use what the first ones made.
func TestFewConnectionsAreMadeAtATime(t *testing.T) {
	const requests = maxMaking + 40
	ca := newAuthority(t)
	slow, other := newSlowTLS(t, ca), newSlowTLS(t, ca)
	close(other.begin)
	s := newSender(t, trusting(ca))
	s.pool.patience = 0
	responses := make(chan Response, requests)
	var sending sync.WaitGroup
	for range requests {
		sending.Go(func() { responses <- s.Send(t.Context(), message(slow.url)) })
	}
	eventually(t, "all requests make connections, or wait for it", func() bool {
		making, waiting := s.pool.turnsAt(slow.url)
		return making == maxMaking && waiting == requests-maxMaking && slow.waiting.Load() == maxMaking
	})
	s.Send(t.Context(), message(other.url)).want(t, Response{StatusCode: 204}) // which waits for none of it

	// Whoever gives up leaves its place.
	m := message(slow.url)
	m.Timeout = 50 * time.Millisecond
	s.Send(t.Context(), m).want(t, Response{
		TimedOut: true,
		Failure:  "no connection to " + strings.TrimPrefix(slow.url, "https://") + " within 50ms: the endpoint is down, or a firewall is in the way",
	})
	if making, waiting := s.pool.turnsAt(slow.url); making != maxMaking || waiting != requests-maxMaking {
		t.Errorf("%d are being made, and %d wait", making, waiting)
	}
	if n := slow.all.Load(); n != maxMaking {
		t.Errorf("%d connections were made", n)
	}
	close(slow.begin)
	sending.Wait()
	for range requests {
		(<-responses).want(t, Response{StatusCode: 204})
	}
	if making, waiting := s.pool.turnsAt(slow.url); making != 0 || waiting != 0 {
		t.Errorf("in the end %d are being made, and %d wait", making, waiting)
	}
}

// A turn that comes just as somebody gives up is not lost.
func TestTurnsAreNotLost(t *testing.T) {
	var p pool
	p.init(1)
	to := endpoint{scheme: "https", host: "a.example"}
	p.begin(to)
	var first []*endpointConns
	for range maxMaking {
		siblings, waited, err := p.takeTurn(t.Context(), to)
		if err != nil || waited {
			t.Fatal(waited, err)
		}
		first = append(first, siblings)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if siblings, _, err := p.takeTurn(ctx, to); err == nil {
				p.passTurn(siblings)
			}
		})
	}
	all.Go(cancel)
	for _, siblings := range first {
		all.Go(func() { p.passTurn(siblings) })
	}
	all.Wait()
	if siblings := p.endpoints[to]; siblings.making != 0 || len(siblings.turns) != 0 {
		t.Errorf("%d are being made, and %d wait", siblings.making, len(siblings.turns))
	}
}
