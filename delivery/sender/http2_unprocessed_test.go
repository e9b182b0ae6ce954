package sender

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// A request that an endpoint has not processed is sent until it is processed, in the end on
// a connection of its own.
func TestUnprocessedRequests(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(stream){
		"refused":     resetting(http2.ErrCodeRefusedStream),
		"going away":  goingAway(http2.ErrCodeNo),
		"in an error": goingAway(http2.ErrCodeEnhanceYourCalm),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := newAuthority(t)
			var requests atomic.Int32
			url, _ := frames(t, ca, func(s stream) {
				if requests.Add(1) <= 4 {
					refuse(s)
				} else {
					s.answer204()
				}
			})
			newSender(t, trusting(ca)).Send(t.Context(), message(url)).want(t, Response{StatusCode: 204})
		})
	}
}

// A request that is always refused fails before its timeout, after pauses.
func TestRequestThatIsAlwaysRefused(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	for timeout := 150 * time.Millisecond; ; timeout *= 2 {
		var requests atomic.Int32
		url, _ := frames(t, ca, func(s stream) {
			requests.Add(1)
			s.reset(http2.ErrCodeRefusedStream)
		})
		s, m := newSender(t, trusting(ca)), message(url)
		m.Timeout = timeout
		r, tries := s.Send(t.Context(), m), requests.Load()
		if (r.TimedOut || tries < 3) && timeout < time.Minute {
			continue // the machine is slow
		}
		r.want(t, Response{Failure: "the endpoint kept refusing the request: it may be overloaded"})
		// The first two tries have no pause between them. Each later one waits twice as long
		// as the one before.
		if tries < 3 || firstPause<<(tries-2)-firstPause >= timeout {
			t.Errorf("it was sent %d times within %s", tries, timeout)
		}
		if s.pool.idle > 1 {
			t.Errorf("%d connections are kept", s.pool.idle)
		}
		return
	}
}

// A connection that refuses a request may have another under way. The refused one goes by a
// connection of its own.
func TestRefusedBesideAnother(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	var mu sync.Mutex
	arrived := make(chan stream, 1)
	url, _ := frames(t, ca, func(s stream) {
		mu.Lock()
		defer mu.Unlock()
		switch s.earlier {
		case 0:
			s.answer204()
		case 1:
			arrived <- s
		default:
			s.reset(http2.ErrCodeRefusedStream)
		}
	})
	s := newSender(t, trusting(ca))
	m := message(url)
	s.Send(t.Context(), m).want(t, Response{StatusCode: 204})
	var other sync.WaitGroup
	other.Go(func() { s.Send(t.Context(), m).want(t, Response{StatusCode: 204}) })
	held := <-arrived
	s.Send(t.Context(), m).want(t, Response{StatusCode: 204})
	mu.Lock()
	held.answer204()
	mu.Unlock()
	other.Wait()
}

// An endpoint may process the first request of each connection only.
func TestOneRequestPerConnection(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	var last sync.Map // the last stream that is answered, by connection
	url, connections := frames(t, ca, func(s stream) {
		switch last, began := last.LoadOrStore(s.conn, s.id); {
		case !began:
			s.answer204()
			_ = s.WriteGoAway(s.id, http2.ErrCodeNo, nil)
		case s.id < last.(uint32): // it began earlier, and was completed later
			s.answer204()
		}
	})
	s := newSender(t, trusting(ca))
	const senders, each = 8, 10
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for range each {
				s.Send(t.Context(), message(url)).want(t, Response{StatusCode: 204})
			}
		})
	}
	all.Wait()
	if n := connections.Load(); n < senders*each/2 {
		t.Errorf("%d requests were answered on %d connections", senders*each, n)
	}
}
