package sender

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// stream is an HTTP/2 request as the server sees it.
type stream struct {
	*http2.Framer
	conn    net.Conn
	id      uint32
	earlier int // how many requests came before it on the connection
}

func (s stream) answer204() {
	_ = s.WriteHeaders(http2.HeadersFrameParam{
		StreamID: s.id, EndHeaders: true, EndStream: true,
		BlockFragment: []byte{0x80 | 9}, // :status 204, of HPACK's static table
	})
}

func (s stream) reset(code http2.ErrCode) { _ = s.WriteRSTStream(s.id, code) }

// frames starts an HTTP/2 server whose handler writes frames itself. The handler gets each
// request.
func frames(t *testing.T, ca *authority, handle func(stream)) (url string, connections *atomic.Int32) {
	t.Helper()
	connections = new(atomic.Int32)
	config := &tls.Config{Certificates: []tls.Certificate{ca.issue()}, NextProtos: []string{"h2"}}
	return "https://" + serve(t, func(tcp net.Conn) {
		conn := tls.Server(tcp, config)
		if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		connections.Add(1)
		f := http2.NewFramer(conn, conn)
		_ = f.WriteSettings()
		for requests := 0; ; {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			switch frame := frame.(type) {
			case *http2.SettingsFrame:
				if !frame.IsAck() {
					_ = f.WriteSettingsAck()
				}
			case *http2.PingFrame:
				if !frame.IsAck() {
					_ = f.WritePing(true, frame.Data)
				}
			case *http2.DataFrame:
				if frame.StreamEnded() {
					handle(stream{f, conn, frame.StreamID, requests})
					requests++
				}
			}
		}
	}), connections
}

// secondTries are ways to answer the second of two requests, its response, and how many
// requests and connections there are in all.
var secondTries = []struct {
	name                  string
	refuse                func(stream)
	want                  Response
	requests, connections int32
}{
	{"goes away", goingAway(http2.ErrCodeNo), Response{StatusCode: 204}, 3, 2},
	{"goes away with an error", goingAway(http2.ErrCodeEnhanceYourCalm), Response{StatusCode: 204}, 3, 2},
	{"refuses the stream", resetting(http2.ErrCodeRefusedStream), Response{StatusCode: 204}, 3, 1},
	{"resets the stream", resetting(http2.ErrCodeInternal), Response{Failure: closedBefore}, 2, 1},
	{"cancels the stream", resetting(http2.ErrCodeCancel), Response{Failure: closedBefore}, 2, 1},
	{"finds the protocol broken", resetting(http2.ErrCodeProtocol), Response{Failure: closedBefore}, 2, 1},
	{"closes the connection", closing, Response{StatusCode: 204}, 3, 2},
	{"resets the connection", func(s stream) {
		_ = s.conn.(*tls.Conn).NetConn().(*net.TCPConn).SetLinger(0)
		closing(s)
	}, Response{StatusCode: 204}, 3, 2},
	{"goes away, then closes the connection", func(s stream) {
		_ = s.WriteGoAway(s.id, http2.ErrCodeNo, nil)
		closing(s)
	}, Response{StatusCode: 204}, 3, 2},
	{"breaks the protocol", func(s stream) { _ = s.WriteSettingsAck() }, Response{Failure: notHTTPAnswer}, 2, 1},
}

const closedBefore = "the connection was closed before a response came"

func goingAway(code http2.ErrCode) func(stream) {
	return func(s stream) { _ = s.WriteGoAway(s.id-1, code, nil) }
}

func resetting(code http2.ErrCode) func(stream) { return func(s stream) { s.reset(code) } }

func closing(s stream) { _ = s.conn.Close() }

// A request is sent a second time if the protocol says that the endpoint has not processed
// it, or if its connection was kept before and has ended. No other is.
func TestSecondTryOverHTTP2(t *testing.T) {
	t.Parallel()
	for _, tc := range secondTries {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			ca := newAuthority(t)
			var requests atomic.Int32
			url, connections := frames(t, ca, func(s stream) {
				if requests.Add(1) == 2 {
					tc.refuse(s)
				} else {
					s.answer204()
				}
			})
			s := newSender(t, trusting(ca))
			s.Send(t.Context(), message(url)).want(t, Response{StatusCode: 204})
			s.Send(t.Context(), message(url)).want(t, tc.want)
			if requests.Load() != tc.requests || connections.Load() != tc.connections {
				t.Errorf("two requests came as %d, by %d connections", requests.Load(), connections.Load())
			}
		})
	}
}

// A request is not sent again if its connection was new.
func TestNewHTTP2ConnectionThatIsClosed(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	var requests atomic.Int32
	url, _ := frames(t, ca, func(s stream) {
		requests.Add(1)
		closing(s)
	})
	newSender(t, trusting(ca)).Send(t.Context(), message(url)).want(t, Response{Failure: closedBefore})
	if n := requests.Load(); n != 1 {
		t.Errorf("it was sent %d times", n)
	}
}

// One connection carries all requests. Connections that were made at the same time as it
// are not kept.
func TestHTTP2ConnectionIsShared(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	g := newGate()
	address := make(chan string, 100)
	server := serveTLS(t, ca.issue(), func(w http.ResponseWriter, r *http.Request) {
		address <- r.RemoteAddr
		g.ServeHTTP(w, r)
	})
	s := newSender(t, trusting(ca))
	m := message(server.URL)
	addresses := func(requests int) (different int) {
		seen := make(map[string]bool)
		for range requests {
			seen[<-address] = true
		}
		return len(seen)
	}
	for range 5 {
		g.together(t, s, m, 10)
		if n := addresses(10); n != 1 {
			t.Errorf("10 requests came by %d connections", n)
		}
	}
	if s.pool.idle != 1 {
		t.Errorf("%d connections are kept", s.pool.idle)
	}
}

// A request for which a connection has no room goes by another one, and does not wait.
func TestHTTP2ConnectionThatIsFull(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	g := newGate()
	address := make(chan string, 10)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address <- r.RemoteAddr
		g.ServeHTTP(w, r)
	}))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue()}}
	server.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 2}
	server.StartTLS()
	defer server.Close()
	s := newSender(t, trusting(ca))
	g.together(t, s, message(server.URL), 1) // so that the sender knows the limit
	first := <-address
	g.together(t, s, message(server.URL), 4)
	seen := make(map[string]int)
	for range 4 {
		seen[<-address]++
	}
	if len(seen) != 2 || seen[first] != 2 {
		t.Errorf("requests by connection, the first of which is %s: %v", first, seen)
	}
}

// A timeout ends a request, and not the connection, if that is alive: others share it.
func TestTimeoutOverHTTP2(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	var answering atomic.Bool
	url, _ := frames(t, ca, func(s stream) {
		if answering.Load() {
			s.answer204()
		} else {
			_ = s.WriteWindowUpdate(0, 1)
		}
	})
	s := newSender(t, trusting(ca))
	// A slow machine may get nothing of the server's within a short timeout.
	r, timeout := sendUntil(t, s, message(url), func(r Response) bool { return incomplete(r) && s.pool.idle == 1 })
	r.want(t, Response{TimedOut: true, Failure: tooLate(timeout)})
	answering.Store(true)
	kept := s.pool.newest
	s.Send(t.Context(), message(url)).want(t, Response{StatusCode: 204})
	if s.pool.newest != kept {
		t.Error("the connection was given up")
	}
}

// A connection outlives the deadline of the request that it was made for.
func TestHTTP2ConnectionOutlivesItsFirstRequest(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	var before atomic.Int32
	url, _ := frames(t, ca, func(s stream) {
		before.Store(int32(s.earlier))
		s.answer204()
	})
	s := newSender(t, trusting(ca))
	_, timeout := sendUntil(t, s, message(url), func(r Response) bool { return r.StatusCode == 204 })
	time.Sleep(timeout)
	s.Send(t.Context(), message(url)).want(t, Response{StatusCode: 204})
	if before.Load() != 1 {
		t.Error("it took another connection")
	}
}

// A server that says nothing after the handshake does not answer: the request times out.
func TestSilentHTTP2(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.issue()}, NextProtos: []string{"h2"}}
	url := "https://" + serve(t, func(tcp net.Conn) { _, _ = io.Copy(io.Discard, tls.Server(tcp, config)) })
	r, timeout := sendUntil(t, newSender(t, trusting(ca)), message(url), incomplete)
	r.want(t, Response{TimedOut: true, Failure: tooLate(timeout)})
}
