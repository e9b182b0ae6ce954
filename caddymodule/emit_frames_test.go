package caddymodule_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/caddy-webhooks/caddy-webhooks/internal/process"
)

// frameClient speaks HTTP/2 frame by frame, on one stream of a connection.
type frameClient struct {
	s     *wireSite
	conn  io.Closer
	frame *http2.Framer
	told  []string // the frames that came on the stream
	data  string   // of all of them
	// extended: the server takes CONNECT with a protocol.
	extended bool
}

// frames opens a connection. The server may send as much at once as it likes, so that where a frame
// ends is for it alone to decide.
func (s *wireSite) frames() *frameClient {
	s.t.Helper()
	conn, err := tls.Dial("tcp", s.tls, &tls.Config{RootCAs: s.roots, NextProtos: []string{http2.NextProtoTLS}})
	if err != nil {
		s.t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	c := &frameClient{s: s, conn: conn, frame: http2.NewFramer(conn, conn)}
	c.frame.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, err = io.WriteString(conn, http2.ClientPreface)
	c.sent(err)
	c.sent(c.frame.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 24}))
	c.sent(c.frame.WriteWindowUpdate(0, 1<<24))
	return c
}

func (c *frameClient) sent(err error) {
	c.s.t.Helper()
	if err != nil {
		c.s.t.Fatal(err)
	}
}

// request sends a head, whose fields are pairs, and the body unless the stream stays open.
func (c *frameClient) request(open bool, body string, fields ...string) {
	c.s.t.Helper()
	var head bytes.Buffer
	encoder := hpack.NewEncoder(&head)
	for i := 0; i < len(fields); i += 2 {
		c.sent(encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}
	c.sent(c.frame.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head.Bytes(), EndHeaders: true, EndStream: !open && body == ""}))
	if body != "" {
		c.sent(c.frame.WriteData(1, !open, []byte(body)))
	}
}

// next reads a frame, notes it if it is of the stream, and says whether it was the last of it.
func (c *frameClient) next() (last bool) {
	c.s.t.Helper()
	f, err := c.frame.ReadFrame()
	if err != nil {
		c.s.t.Fatalf("%v after %q", err, c.told)
	}
	note := func(format string, args ...any) { c.told = append(c.told, fmt.Sprintf(format, args...)) }
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if on, ok := f.Value(http2.SettingEnableConnectProtocol); ok && on == 1 {
			c.extended = true
		}
	case *http2.MetaHeadersFrame:
		note("HEADERS %d", f.Flags)
		for _, field := range f.Fields {
			if field.Name == "date" || field.Name == "alt-svc" {
				field.Value = "…"
			}
			note("\t%s: %s", field.Name, field.Value)
		}
		return f.StreamEnded()
	case *http2.DataFrame:
		note("DATA %d %q", f.Flags, f.Data())
		c.data += string(f.Data())
		return f.StreamEnded()
	case *http2.RSTStreamFrame:
		note("RST_STREAM %s", f.ErrCode)
		return true
	case *http2.PushPromiseFrame, *http2.GoAwayFrame:
		note("%s", f)
	}
	return false
}

// answer reads all frames of an answer. At each part of one in steps it lets the application go on.
func (c *frameClient) answer() string {
	c.s.t.Helper()
	for parts, last := 0, false; !last; {
		last = c.next()
		for ; strings.Count(c.data, "part ") > parts; parts++ {
			c.s.step <- struct{}{}
		}
	}
	return strings.Join(c.told, "\n")
}

// framed are requests over HTTP/2 of whose answers each frame is compared. Where the proxy reads a
// large body from the application in pieces that depend on the network, none can be the same twice.
var framed = []struct {
	method, path, body string
	fields             []string
	waits              bool // as in wireRequests
	has                string
}{
	{method: "GET", path: "json", has: "DATA"},
	{method: "HEAD", path: "file", has: "HEADERS 5"},
	{method: "GET", path: "file", has: "DATA"},
	{method: "GET", path: "file", fields: []string{"range", "bytes=5-9"}, has: ":status: 206"},
	{method: "GET", path: "file", fields: []string{"if-modified-since", modified.Format(http.TimeFormat)}, has: ":status: 304"},
	{method: "GET", path: "files/large", has: "DATA 1"},
	{method: "GET", path: "none", has: ":status: 204"},
	{method: "GET", path: "hints", has: ":status: 103"},
	{method: "GET", path: "trailers", has: "x-sum: 7"},
	{method: "GET", path: "late", has: "DATA"},
	{method: "GET", path: "gzip", fields: []string{"accept-encoding", "gzip"}, has: "content-encoding: gzip"},
	{method: "POST", path: "echo", body: `{"a":1}`, has: "POST"},
	{method: "GET", path: "steps", waits: true, has: "part 2."},
	{method: "GET", path: "events", has: "part 2."},
	{method: "GET", path: "cut", waits: true, has: "RST_STREAM INTERNAL_ERROR"},
	{method: "GET", path: "closes", has: ":status: 502"},
	{method: "POST", path: "grpc", body: "\x00\x00\x00\x00\x01q", has: "grpc-status: 0"},
	{method: "POST", path: "grpc/fails", body: "\x00\x00\x00\x00\x01q", has: "grpc-status: 5"},
}

// TestEmitChangesNoFrame compares the frames of answers over HTTP/2: the fields in their order, where
// data are cut, what has trailers, and how it ends.
func TestEmitChangesNoFrame(t *testing.T) {
	s := startWireSite(t)
	for _, r := range framed {
		told := func(form string) string {
			c := s.frames()
			defer c.conn.Close()
			c.request(false, r.body, append([]string{
				":method", r.method, ":scheme", "https", ":authority", s.tls, ":path", "/" + form + "/" + r.path, "te", "trailers",
			}, r.fields...)...)
			return c.answer()
		}
		want := told("without")
		if !strings.Contains(want, r.has) {
			t.Fatalf("%s %s: there is no %s in\n%s", r.method, r.path, r.has, want)
		}
		for _, f := range wireForms[1:] {
			if r.waits && f.path == "strict" {
				continue
			}
			expected := want
			if f.path == "header" {
				expected = strings.ReplaceAll(want, "\tx-event: device_created\n", "")
			}
			if got := told(f.path); got != expected {
				t.Errorf("%s %s, %s: got\n%s\nwant\n%s", r.method, r.path, f.path, got, expected)
			}
		}
	}
}

// TestEmitChangesNothingOfSockets opens a WebSocket over HTTP/2. A Go server takes those only if it was
// started to, and so does Caddy.
func TestEmitChangesNothingOfSockets(t *testing.T) {
	s := newWireSite(t)
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	server, err := process.StartCaddy(binary, t.TempDir(), []byte(s.caddyfile), asCaddy+"=1", "GODEBUG=http2xconnect=1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	eventually(t, "Caddy to listen", func() bool {
		conn, err := tls.Dial("tcp", s.tls, &tls.Config{RootCAs: s.roots})
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	want := s.socket("without")
	if !strings.Contains(want, ":status: 200") || !strings.Contains(want, "back: hello") {
		t.Fatalf("this is no WebSocket:\n%s", want)
	}
	for _, f := range wireForms[1:] {
		if got := s.socket(f.path); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", f.path, got, want)
		}
	}
}

// socket opens a WebSocket over HTTP/2 (RFC 8441), sends a line, and tells all that comes back.
func (s *wireSite) socket(form string) string {
	s.t.Helper()
	c := s.frames()
	defer c.conn.Close()
	for !c.extended {
		c.next()
	}
	c.request(true, "", ":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", s.tls, ":path", "/"+form+"/socket", "sec-websocket-version", "13")
	for len(c.told) == 0 {
		c.next()
	}
	c.sent(c.frame.WriteData(1, false, []byte("hel")))
	c.sent(c.frame.WriteData(1, false, []byte("lo\n")))
	for ended := false; !ended && !strings.HasSuffix(c.data, "\n"); {
		ended = c.next()
	}
	c.sent(c.frame.WriteData(1, true, nil))
	for !c.next() { //nolint:revive // it notes what comes
	}
	return strings.Join(c.told, "\n")
}

// TestEmitChangesNothingOfSocketsHTTP3 opens a WebSocket over HTTP/3 (RFC 9220).
func TestEmitChangesNothingOfSocketsHTTP3(t *testing.T) {
	s := startWireSite(t)
	transport := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots}}
	defer transport.Close()
	told := func(form string) string {
		body, sends := io.Pipe()
		defer sends.Close()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodConnect, "https://"+s.tls+"/"+form+"/socket", body)
		if err != nil {
			t.Fatal(err)
		}
		req.Proto = "websocket"
		req.Header.Set("Sec-Websocket-Version", "13")
		res, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		names := make([]string, 0, len(res.Header))
		for name, values := range res.Header {
			if name != "Date" && name != "Alt-Svc" {
				names = append(names, fmt.Sprint(name, values))
			}
		}
		slices.Sort(names)
		if _, err := io.WriteString(sends, "hello\n"); err != nil {
			t.Fatal(err)
		}
		line := make([]byte, len("back: hello\n"))
		_, err = io.ReadFull(res.Body, line)
		_ = sends.Close()
		rest, ended := io.ReadAll(res.Body)
		return fmt.Sprintln(res.Status, names, string(line), err, string(rest), endOf(ended))
	}
	want := told("without")
	if !strings.HasPrefix(want, "200 ") || !strings.Contains(want, "back: hello") {
		t.Fatalf("this is no WebSocket: %s", want)
	}
	for _, f := range wireForms[1:] {
		if got := told(f.path); got != want {
			t.Errorf("%s: got %s want %s", f.path, got, want)
		}
	}
}
