package sender

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// requests is a server of raw HTTP that tells connections apart: per connection,
// how many requests came.
type requests struct {
	mu    sync.Mutex
	conns []int
}

// keepingAlive answers up to limit requests on a connection, then closes it.
func (r *requests) keepingAlive(limit int, answer string) func(net.Conn) {
	return func(conn net.Conn) {
		r.mu.Lock()
		n := len(r.conns)
		r.conns = append(r.conns, 0)
		r.mu.Unlock()
		in := bufio.NewReader(conn)
		for range limit {
			request, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, request.Body)
			r.mu.Lock()
			r.conns[n]++
			r.mu.Unlock()
			if _, err := io.WriteString(conn, answer); err != nil {
				return
			}
		}
	}
}

func (r *requests) perConnection() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.conns)
}

const (
	answerOK    = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	answerClose = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
)

// Connections are used again when the whole response was read, however little of
// it is kept.
func TestConnectionsAreKept(t *testing.T) {
	long := strings.Repeat("x", 300<<10)
	for _, tc := range []struct {
		name   string
		answer string
		want   []int
	}{
		{"a short response", answerOK, []int{3}},
		{"no response body", "HTTP/1.1 204 No Content\r\n\r\n", []int{3}},
		{"a failure", "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno", []int{3}},
		{"a long response", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(long), long), []int{3}},
		{
			"a long response in chunks",
			fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(long), long),
			[]int{3},
		},
		{"Connection: close", answerClose, []int{1, 1, 1}},
		{"Keep-Alive: timeout=0", "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 2\r\n\r\nok", []int{1, 1, 1}},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", []int{1, 1, 1}},
		{"a redirect", "HTTP/1.1 302 Found\r\nLocation: /target\r\nContent-Length: 0\r\n\r\n", []int{3}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var seen requests
			m := message("http://" + serve(t, seen.keepingAlive(3, tc.answer)))
			s := newSender(t)
			for range 3 {
				if r := s.Send(t.Context(), m); r.Failure != "" {
					t.Errorf("got %+v", r)
				}
			}
			if got := seen.perConnection(); !slices.Equal(got, tc.want) {
				t.Errorf("requests per connection: %v, not %v", got, tc.want)
			}
		})
	}
}

// A kept connection that the server closes is no failure of the next request,
// which goes out once, on a new one.
func TestConnectionClosedByTheServer(t *testing.T) {
	t.Parallel()
	var seen requests
	m := message("http://" + serve(t, seen.keepingAlive(1, answerOK)))
	s := newSender(t)
	for range 3 {
		s.Send(t.Context(), m).want(t, Response{StatusCode: 200, Body: "ok"})
		eventually(t, "the connection is seen to be closed", func() bool { return !peekAtIdle(s) })
	}
	if got := seen.perConnection(); !slices.Equal(got, []int{1, 1, 1}) {
		t.Errorf("requests per connection: %v", got)
	}
}

// peekAtIdle checks the newest idle connection, if there is one, as the next
// request will.
func peekAtIdle(s *Sender) (ready bool) {
	newest := s.pool.newest
	return newest != nil && newest.ready(time.Now().Add(time.Minute))
}

// eventually waits until what must happen has.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !happened(); {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to be that %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// After Close, which ends no request in flight, nothing is left.
func TestSenderLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Run("in use", func(t *testing.T) {
		ca := newAuthority(t)
		entered, leave := make(chan struct{}), make(chan struct{})
		handler := func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/wait" {
				entered <- struct{}{}
				<-leave
			}
			w.WriteHeader(http.StatusNoContent)
		}
		plain := httptest.NewServer(http.HandlerFunc(handler))
		defer plain.Close()
		secure := serveTLS(t, ca.issue(), handler)
		s := newSender(t, trusting(ca))
		for _, url := range []string{plain.URL, secure.URL, "http://" + refusing(t), "http://" + serve(t, answering(""))} {
			s.Send(t.Context(), message(url))
		}
		silent := message("https://" + serve(t, holding("")))
		silent.Timeout = time.Millisecond
		s.Send(t.Context(), silent)

		var inFlight sync.WaitGroup
		for _, url := range []string{plain.URL, secure.URL} {
			inFlight.Go(func() {
				s.Send(t.Context(), message(url+"/wait")).want(t, Response{StatusCode: 204})
			})
			<-entered
		}
		s.Close()
		close(leave)
		inFlight.Wait()
		s.Close()
		s.Close()
	})
	goleak.VerifyNone(t, before)
}

// A sender that was closed keeps no connection: not of a request that was in
// flight then or came later, nor of one that timed out within the handshake.
func TestClosedSenderKeepsNoConnection(t *testing.T) {
	ca := newAuthority(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	handler := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			entered <- struct{}{}
			<-leave
		}
		w.WriteHeader(http.StatusNoContent)
	}
	plain := httptest.NewServer(http.HandlerFunc(handler))
	defer plain.Close()
	silent := message("https://" + serve(t, holding("")))
	silent.Timeout = time.Millisecond
	for _, url := range []string{plain.URL, serveTLS(t, ca.issue(), handler).URL} {
		before := goleak.IgnoreCurrent()
		s := newSender(t, trusting(ca))
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.Send(t.Context(), message(url+"/wait")).want(t, Response{StatusCode: 204})
		}()
		<-entered
		s.Send(t.Context(), silent)
		s.Close()
		s.Send(t.Context(), message(url)).want(t, Response{StatusCode: 204})
		leave <- struct{}{}
		<-done
		goleak.VerifyNone(t, before)
	}
}
