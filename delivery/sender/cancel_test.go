package sender

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// When the context ends, the request ends, whatever it is doing, and so does its connection
// unless others share it. This does not count as a timeout.
func TestCancelBreaksOff(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.issue()}, NextProtos: []string{"h2"}}
	begun := func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) }
	overTLS := func(handle func(net.Conn)) func(net.Conn) { return secured(ca, func(conn *tls.Conn) { handle(conn) }) }
	overHTTP2 := func(handle func(net.Conn)) func(net.Conn) {
		return func(conn net.Conn) { handle(tls.Server(conn, config)) }
	}
	const half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
	for _, tc := range []struct {
		name, scheme string
		length       int
		handle       func(net.Conn) // returns when the request is to be cancelled
		shared       bool
	}{
		{"within the handshake", "https", 10, begun, false},
		{"within a long request", "http", 8 << 20, begun, false},
		{"within a long request over TLS", "https", 8 << 20, overTLS(begun), false},
		{"before a response", "http", 10, answering(""), false},
		{"before a response over TLS", "https", 10, overTLS(answering("")), false},
		{"before a response over HTTP/2", "https", 10, overHTTP2(begun), true},
		{"within the headers", "http", 10, answering("HTTP/1.1 200 OK\r\nA: "), false},
		{"within a response", "http", 10, answering(half), false},
		{"within a response over TLS", "https", 10, overTLS(answering(half)), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			closed := make(chan struct{})
			m := message(tc.scheme + "://" + serve(t, func(conn net.Conn) {
				tc.handle(conn)
				cancel()
				_, _ = io.Copy(io.Discard, conn)
				close(closed)
			}))
			m.Body = make([]byte, tc.length)
			s := newSender(t, trusting(ca))
			r := s.Send(ctx, m)
			if r.Failure == "" || r.TimedOut || !errors.Is(r.Cause, context.Canceled) {
				t.Errorf("got %+v", r)
			}
			if !tc.shared {
				<-closed
			}
			if kept := s.pool.idle; kept > 0 != tc.shared {
				t.Errorf("%d connections are kept", kept)
			}
		})
	}
}

// A request whose context has ended is not made.
func TestCancelledBeforeItBegins(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := newSender(t).Send(ctx, message("http://"+serve(t, answering(answerOK))))
	if r.Failure == "" || r.TimedOut || !errors.Is(r.Cause, context.Canceled) {
		t.Errorf("got %+v", r)
	}
}

// A connection that is kept is broken off by the context of its present request alone.
func TestConnectionOutlivesContext(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			entered <- struct{}{}
			<-leave
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	s := newSender(t)
	wait := message(server.URL + "/wait")
	for range 3 {
		before, endBefore := context.WithCancel(t.Context())
		s.Send(before, message(server.URL)).want(t, Response{StatusCode: 204})
		kept := s.pool.newest
		if endBefore(); s.pool.get(kept.siblings.endpoint, time.Now().Add(time.Minute)) != nil {
			t.Error("a connection is used whose context has ended")
		}

		before, endBefore = context.WithCancel(t.Context())
		s.Send(before, message(server.URL)).want(t, Response{StatusCode: 204})
		ctx, cancel := context.WithCancel(t.Context())
		var inFlight sync.WaitGroup
		inFlight.Go(func() { s.Send(ctx, wait).want(t, Response{StatusCode: 204}) })
		<-entered
		endBefore()
		leave <- struct{}{}
		inFlight.Wait()

		inFlight.Go(func() {
			if r := s.Send(ctx, wait); !errors.Is(r.Cause, context.Canceled) {
				t.Errorf("got %+v", r)
			}
		})
		<-entered
		cancel()
		inFlight.Wait()
		leave <- struct{}{}
	}
}

// Contexts that end at any time break off no request but their own.
func TestContextsEndAtAnyTime(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer server.Close()
	s := newSender(t)
	m := message(server.URL)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				ctx, cancel := context.WithCancel(t.Context())
				s.Send(ctx, m).want(t, Response{StatusCode: 204})
				go cancel() // while another request has the connection, or none
			}
		})
	}
	all.Wait()
}

// A context that ends while its request begins on a kept connection is not missed.
func TestContextEndsAsRequestBegins(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/wait" {
			<-r.Context().Done()
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	s := newSender(t)
	for range 300 {
		ctx, cancel := context.WithCancel(t.Context())
		s.Send(ctx, message(server.URL)).want(t, Response{StatusCode: 204})
		go cancel()
		if r := s.Send(ctx, message(server.URL+"/wait")); !errors.Is(r.Cause, context.Canceled) {
			t.Errorf("got %+v", r)
		}
	}
}
