package sender

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// http2Failures are HTTP/2 endpoints that break the protocol, and the response to each.
var http2Failures = []struct {
	name   string
	answer http.HandlerFunc
	want   Response
}{
	{
		"broken off before headers", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		Response{Failure: "the connection was closed before a response came"},
	},
	{
		"broken off within the body", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
		Response{StatusCode: 200, Body: "half", Failure: "the connection was closed before the response was complete"},
	},
	{
		"a body shorter than it says", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			_, _ = io.WriteString(w, "half")
		},
		Response{StatusCode: 200, Body: "half", Failure: "the connection was closed before the response was complete"},
	},
	{
		"long headers", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["A"] = slices.Repeat([]string{"b"}, maxResponseHeader/30)
		},
		Response{Failure: "the response headers are longer than 64 KiB"},
	},
	{
		"a single header beyond all bounds", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("A", strings.Repeat("a", 2*maxResponseHeader))
		},
		Response{Failure: notHTTPAnswer},
	},
}

func TestBrokenHTTP2(t *testing.T) {
	ca := newAuthority(t)
	for _, tc := range http2Failures {
		t.Run(tc.name, func(t *testing.T) {
			server := serveTLS(t, ca.issue(), tc.answer)
			newSender(t, trusting(ca)).Send(t.Context(), message(server.URL)).want(t, tc.want)
		})
	}
	t.Run("silence", func(t *testing.T) {
		leave := make(chan struct{})
		defer close(leave)
		server := serveTLS(t, ca.issue(), func(http.ResponseWriter, *http.Request) { <-leave })
		r, timeout := sendUntil(t, newSender(t, trusting(ca)), message(server.URL), incomplete)
		r.want(t, Response{TimedOut: true, Failure: tooLate(timeout)})
	})
	for name, answer := range map[string]string{
		"HTTP/1.1": "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"noise":    "\x00\x00\x00\x07\x07\x00\x00\x00\x01abcdefghijkl",
	} {
		t.Run("after ALPN "+name, func(t *testing.T) {
			config := &tls.Config{Certificates: []tls.Certificate{ca.issue()}, NextProtos: []string{"h2"}}
			url := "https://" + serve(t, func(conn net.Conn) {
				secure := tls.Server(conn, config)
				_, _ = io.WriteString(secure, answer)
				_, _ = io.Copy(io.Discard, secure)
			})
			r := newSender(t, trusting(ca)).Send(t.Context(), message(url))
			// The failure depends on whether the request or the answer comes first.
			if r.Failure != notHTTPAnswer && r.Failure != "the connection was closed before a response came" {
				t.Errorf("got %+v", r)
			}
		})
	}
}
