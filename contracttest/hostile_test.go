package contracttest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// serveRaw starts a TCP server that reads one request from each connection, calls
// answer, and closes the connection.
func serveRaw(t *testing.T, answer func(io.Writer)) (url string) {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // the test has ended
			}
			go func() {
				defer conn.Close()
				r, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, r.Body) // a request that is cut short shows in Caddy's log
				answer(conn)
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// forever writes the same again and again, until the other side closes the connection.
func forever(start, again string, every time.Duration) func(io.Writer) {
	return func(w io.Writer) {
		for _, err := io.WriteString(w, start); err == nil; _, err = io.WriteString(w, again) {
			time.Sleep(every)
		}
	}
}

// silent writes no more after the start, and waits until the other side closes the
// connection.
func silent(start string) func(io.Writer) {
	return func(w io.Writer) {
		_, _ = io.WriteString(w, start)
		_, _ = w.(net.Conn).Read(make([]byte, 1))
	}
}

// hostileEndpoint is an endpoint, and how a request to it fails.
type hostileEndpoint struct {
	name   string
	answer func(io.Writer)
	status any // nil if there is no status line
	err    string
	kept   string // what the log has of the body begins with this
}

// hostileEndpoints are endpoints that answer without end, too much, or nonsense.
func hostileEndpoints() []hostileEndpoint {
	const (
		ok      = "HTTP/1.1 200 OK\r\n"
		chunked = ok + "Transfer-Encoding: chunked\r\n\r\n"
		late    = "no complete response within 2s"
		closed  = "closed before the response was complete"
		invalid = "not valid HTTP"
		long    = "longer than 64 KiB"
		large   = "longer than 1024 KiB"
	)
	return []hostileEndpoint{
		{"silence", silent(""), nil, late, ""},
		{"half a status line", silent("HTTP/1.1 2"), nil, late, ""},
		{"half the headers", silent(ok + "A: b\r\n"), 200, late, ""},
		{"headers by the byte", forever(ok, "a", 100*time.Millisecond), 200, late, ""},
		{"a body by the byte", forever(ok+"\r\n", "a", 300*time.Millisecond), 200, late, "a"},
		{"half a body", silent(ok + "Content-Length: 9\r\n\r\nhalf"), 200, late, "half"},
		{"an endless body", forever(ok+"\r\n", strings.Repeat("a", 64<<10), 0), 200, large, strings.Repeat("a", 1024)},
		{"endless chunks", forever(chunked, "1000\r\n"+strings.Repeat("a", 4096)+"\r\n", 0), 200, large, "a"},
		{"chunks by the byte", forever(chunked, "1\r\na\r\n", 100*time.Millisecond), 200, late, "a"},
		{"endless headers", forever(ok, "A: b\r\n", 0), 200, long, ""},
		{"a huge header", silent(ok + "A: " + strings.Repeat("a", 1<<20) + "\r\n\r\n"), 200, long, ""},
		{"two lengths", silent(ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), 200, invalid, ""},
		{"a broken header of a failure", silent("HTTP/1.1 503 No\r\nnonsense\r\n\r\n"), 503, invalid, ""},
		{"endless informational answers", forever("", "HTTP/1.1 102 Processing\r\n\r\n", 0), nil, long, ""},
		{"a body shorter than it says", func(w io.Writer) { fmt.Fprint(w, ok+"Content-Length: 9\r\n\r\nhalf") }, 200, closed, "half"},
		{"chunks without the last", func(w io.Writer) { fmt.Fprint(w, chunked+"4\r\nhalf\r\n") }, 200, closed, "half"},
		{"no status", silent("HTTP/1.1 abc OK\r\n\r\n"), nil, invalid, ""},
		{"a status of zero", silent("HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\nok"), nil, invalid, ""},
		{"another protocol", silent("SSH-2.0-OpenSSH_9.6\r\n"), nil, invalid, ""},
		{"another protocol to come", silent("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n"), 101, "101", ""},
	}
}

// TestHostileEndpoints checks that each request to a hostile endpoint fails within the
// timeout, and is logged as failed.
func TestHostileEndpoints(t *testing.T) {
	t.Parallel()
	s := start(t, ownStore()+"timeout 2s\nmax_response_size 1KiB\n"+destinations("allow_http", "allow 127.0.0.0/8"))
	for _, test := range hostileEndpoints() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := s.admin()
			w := c.webhook(t, serveRaw(t, test.answer))
			// On a busy machine the timeout may end a request before the endpoint has
			// done what it is to do.
			var q object
			eventually(t, test.err, func() bool {
				q = c.must(t, 200, "POST", "/api/webhooks/"+text(w["id"])+"/test", "{}")
				if q["status"] != "failed" {
					t.Fatalf("%v", q)
				}
				return quote(q["status_code"]) == quote(test.status) && strings.Contains(text(q["error"]), test.err) &&
					strings.HasPrefix(text(q["response_body"]), test.kept)
			})
			if len(text(q["response_body"])) > 1024 || test.kept == "" && q["response_body"] != "" {
				t.Errorf("response_body is %v", q["response_body"])
			}
		})
	}
}

// TestCompressedResponse has an endpoint answer with 16 MiB that are compressed to
// little: the log keeps the compressed bytes.
func TestCompressedResponse(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	for range 16 {
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c := fast.admin()
	r := receive(t, func(_ int, w http.ResponseWriter) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	})
	one := "/api/webhooks/" + text(c.webhook(t, r.URL)["id"])
	q := c.must(t, 200, "POST", one+"/test", "{}")
	if q["status"] != "success" || q["response_truncated"] != true || !strings.HasPrefix(text(q["response_body"]), "\x1f\uFFFD\b") {
		t.Errorf("%v", q)
	}
	if asked := r.received()[0].header.Get("Accept-Encoding"); asked != "" {
		t.Errorf("Accept-Encoding: %s", asked)
	}
}
