package sender

import (
	"bytes"
	"compress/gzip"
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

func TestResponseText(t *testing.T) {
	for _, tc := range []struct {
		name      string
		body      string
		limit     int
		want      string
		truncated bool
	}{
		{"shorter", "abc", 4, "abc", false},
		{"as long", "abcd", 4, "abcd", false},
		{"longer", "abcde", 4, "abcd", true},
		{"nothing", "", 4, "", false},
		{"nothing is kept", "abc", 0, "", true},
		{"nothing came, nothing is kept", "", 0, "", false},
		{"a character ends at the limit", "aéé", 3, "aé", true},
		{"a character of 2 bytes is cut", "aéé", 4, "aé", true},
		{"a character of 3 bytes is cut", "a€€", 6, "a€", true},
		{"a character of 4 bytes is cut", "😀😀", 7, "😀", true},
		{"a character of 4 bytes does not fit", "😀", 3, "", true},
		{"not UTF-8", "a\xffb", 9, "a\uFFFDb", false},
		{"not UTF-8 at the end", "ab\xe9", 9, "ab\uFFFD", false},
		{"not UTF-8, in a row", "a\xff\xfe\xfdb", 9, "a\uFFFDb", false},
		{"half a character at the end", "a\xe2\x82", 9, "a\uFFFD", false},
		{"not UTF-8, longer as text than it may be", "\xff.\xff.", 4, "\uFFFD.", true},
		{"not UTF-8, as long as it may be", "\xffa", 4, "\uFFFDa", false},
		{"not UTF-8 where the cut falls", "abc\xffdef", 4, "abc", true},
		{"not UTF-8 before the cut", "a\xffcdefgh", 6, "a\uFFFDcd", true},
		{"what looks like a cut character but is none", "abc\xe9def", 4, "abc", true},
		{"stray continuations where the cut falls", "a\x80\x80\x80\x80\x80b", 4, "a\uFFFD", true},
		{"NUL", "a\x00b", 4, "a\x00b", false},
		{"surrogates", "\xed\xa0\x80", 9, "\uFFFD", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, form := range []struct{ name, header, body string }{
				{"length", fmt.Sprintf("Content-Length: %d\r\n", len(tc.body)), tc.body},
				{"chunks", "Transfer-Encoding: chunked\r\n", inChunks(tc.body)},
				{"until the end", "", tc.body},
			} {
				m := message("http://" + serve(t, answering("HTTP/1.1 200 OK\r\n"+form.header+"\r\n"+form.body)))
				m.MaxResponse = tc.limit
				t.Run(form.name, func(t *testing.T) {
					newSender(t).Send(t.Context(), m).want(t, Response{StatusCode: 200, Body: tc.want, Truncated: tc.truncated})
				})
			}
		})
	}
}

// inChunks encodes a body, each byte in a chunk of its own.
func inChunks(body string) string {
	var b strings.Builder
	for i := range len(body) {
		b.WriteString("1\r\n" + body[i:i+1] + "\r\n")
	}
	return b.String() + "0\r\n\r\n"
}

func TestCompressedResponseIsKeptAsItCame(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(bytes.Repeat([]byte("a"), 1<<20))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	}))
	defer server.Close()
	m := message(server.URL)
	m.MaxResponse = 10 << 10
	newSender(t).Send(t.Context(), m).want(t, Response{
		StatusCode: 200, Body: strings.ToValidUTF8(packed.String(), "\uFFFD"),
	})
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
