package sender

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// want compares all of a response but the cause of its failure.
func (r Response) want(t *testing.T, want Response) {
	t.Helper()
	if r.Failure != "" && r.Cause == nil {
		t.Error("a failure without its cause")
	}
	cause := r.Cause
	r.Cause = nil
	if r != want {
		t.Errorf("got  %+v\nwant %+v\ncause: %v", r, want, cause)
	}
}

// A response is taken as it is, over HTTP/1.1 and HTTP/2 alike.
func TestSendOverEachProtocol(t *testing.T) {
	ca := newAuthority(t)
	var followed atomic.Int32
	handler := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		var code int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &code)
		if code == 0 {
			followed.Add(1)
		}
		if code/100 == 3 {
			w.Header().Set("Location", "/target")
		}
		w.WriteHeader(code)
		if code != 204 && code != 304 {
			_, _ = io.WriteString(w, "körper of "+r.Proto)
		}
	}
	plain := httptest.NewServer(http.HandlerFunc(handler))
	defer plain.Close()
	secure := serveTLS(t, ca.issue(), handler)
	s := newSender(t, trusting(ca))

	for _, server := range []struct{ url, protocol string }{{plain.URL, "HTTP/1.1"}, {secure.URL, "HTTP/2.0"}} {
		for _, code := range []int{200, 201, 202, 204, 299, 300, 301, 302, 303, 304, 307, 308, 400, 401, 404, 410, 429, 500, 502, 503, 599} {
			t.Run(fmt.Sprint(server.protocol, " ", code), func(t *testing.T) {
				want := Response{StatusCode: code, Body: "körper of " + server.protocol}
				if code == 204 || code == 304 {
					want.Body = ""
				}
				s.Send(t.Context(), message(fmt.Sprint(server.url, "/", code))).want(t, want)
			})
		}
	}
	if n := followed.Load(); n > 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

// Informational answers are skipped, as many as a server may send that says
// every second that it still works.
func TestInformationalAnswersAreSkipped(t *testing.T) {
	t.Run("HTTP/1.1", func(t *testing.T) {
		for name, before := range map[string]string{
			"none": "", "100": "HTTP/1.1 100 Continue\r\n\r\n",
			"103":  "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
			"many": strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 600),
		} {
			t.Run(name, func(t *testing.T) {
				url := "http://" + serve(t, answering(before+"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
				newSender(t).Send(t.Context(), message(url)).want(t, Response{StatusCode: 200, Body: "ok"})
			})
		}
	})
	t.Run("HTTP/2", func(t *testing.T) {
		ca := newAuthority(t)
		server := serveTLS(t, ca.issue(), func(w http.ResponseWriter, _ *http.Request) {
			for range 600 {
				w.WriteHeader(http.StatusProcessing)
			}
			_, _ = io.WriteString(w, "ok")
		})
		newSender(t, trusting(ca)).Send(t.Context(), message(server.URL)).want(t, Response{StatusCode: 200, Body: "ok"})
	})
}

// A protocol that nobody asked to switch to is an answer like another, and its
// connection is not held.
func TestSwitchingProtocolsEndsTheRequest(t *testing.T) {
	closed := make(chan struct{})
	url := "http://" + serve(t, func(conn net.Conn) {
		holding("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")(conn)
		close(closed)
	})
	newSender(t).Send(t.Context(), message(url)).want(t, Response{StatusCode: 101})
	<-closed
}
