package caddymodule_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/quic-go/quic-go/http3"
)

// wireSite serves an application several times: without webhooks_emit, and with each form of it.
type wireSite struct {
	t          *testing.T
	plain, tls string // addresses
	caddyfile  string
	roots      *x509.CertPool
	step       chan struct{} // the client has got the part before
	left       chan struct{} // the application sees that the client has gone
}

// wireForms are the paths under which the application is, and what stands before it there.
var wireForms = []struct{ path, lines string }{
	{"without", ""},
	{"response", "webhooks_emit device_created"},
	{"request", "webhooks_emit device_created {\ndata request\n}"},
	{"header", "webhooks_emit from_header X-Event"},
	{"text", "webhooks_emit device_created {\ndata \"{http.request.body}\"\n}"},
	{"small", "webhooks_emit device_created {\nmax_size 10\n}"},
	{"strict", "webhooks_emit device_created {\nstrict\n}"},
	{"stricttext", "webhooks_emit device_created {\nstrict\ndata \"{}\"\n}"},
}

func startWireSite(t *testing.T) *wireSite {
	t.Helper()
	s := newWireSite(t)
	if err := caddy.Load(adaptFile(t, s.caddyfile), true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the store to be open", func() bool {
		return do(t, http.MethodGet, "http://"+s.plain+"/strict/json", "").status == http.StatusOK
	})
	return s
}

// newWireSite starts the application, but no Caddy.
func newWireSite(t *testing.T) *wireSite {
	t.Helper()
	s := &wireSite{t: t, plain: freeAddr(t), tls: freeAddr(t), step: make(chan struct{}), left: make(chan struct{}, 100)}
	app := httptest.NewServer(http.HandlerFunc(s.application))
	grpc := httptest.NewUnstartedServer(http.HandlerFunc(s.grpc))
	grpc.Config.Protocols = new(http.Protocols)
	grpc.Config.Protocols.SetUnencryptedHTTP2(true)
	grpc.Start()
	t.Cleanup(app.Close)
	t.Cleanup(grpc.Close)
	cert, key := certificateFiles(t)
	s.roots = x509.NewCertPool()
	raw, err := os.ReadFile(cert)
	if err != nil || !s.roots.AppendCertsFromPEM(raw) {
		t.Fatal("no certificate", err)
	}
	files := t.TempDir()
	if err := os.WriteFile(filepath.Join(files, "large"), bytes.Repeat([]byte("0123456789abcdef"), 10<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	var routes strings.Builder
	for _, f := range wireForms {
		fmt.Fprintf(&routes, "handle_path /%s/* {\n%s\nreverse_proxy /grpc* h2c://%s\nreverse_proxy %s\nhandle_path /files/* {\n%[2]s\nroot %[5]s\nfile_server\n}\n}\n", f.path, f.lines, grpc.Listener.Addr(), app.Listener.Addr(), files)
	}
	s.caddyfile = fmt.Sprintf("{\nadmin off\npersist_config off\nauto_https off\nlog {\noutput discard\n}\nwebhooks {\nstore embedded %s\n}\n}\nhttp://%s {\n%s}\nhttps://%s {\ntls %s %s\n%s}\n",
		t.TempDir(), s.plain, routes.String(), s.tls, cert, key, routes.String())
	return s
}

// certificateFiles writes a certificate of 127.0.0.1 and its key.
func certificateFiles(t *testing.T) (cert, key string) {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	pair := server.TLS.Certificates[0]
	encoded, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: encoded},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// next waits until the client has got what was flushed.
func (s *wireSite) next(w http.ResponseWriter) {
	_ = http.NewResponseController(w).Flush()
	select {
	case <-s.step:
	case <-time.After(patience):
	}
}

var modified = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// application answers in as many ways as applications do.
func (s *wireSite) application(w http.ResponseWriter, r *http.Request) {
	w.Header()["Date"] = nil
	write := func(text string) { _, _ = io.WriteString(w, text) }
	switch r.URL.Path {
	case "/json":
		w.Header().Set("X-Event", "device_created") // which one form takes out
		write(`{"a":1}`)
	case "/echo":
		body, err := io.ReadAll(r.Body)
		write(fmt.Sprintf("%s %q %q %v", r.Method, body, r.TransferEncoding, err))
	case "/large":
		write(strings.Repeat("0123456789abcdef", 10<<10))
	case "/file":
		http.ServeContent(w, r, "a.json", modified, strings.NewReader(`{"a":"`+strings.Repeat("x", 1000)+`"}`))
	case "/none":
		w.WriteHeader(http.StatusNoContent)
	case "/hints":
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		write("{}")
	case "/steps", "/events":
		s.parts(w, r.URL.Path == "/events")
	case "/trailers":
		w.Header().Set("Trailer", "X-Sum")
		write("{}")
		w.Header().Set("X-Sum", "7")
	case "/late":
		write("{}")
		w.Header().Set(http.TrailerPrefix+"X-Late", "8")
	case "/gzip":
		w.Header().Set("Content-Encoding", "gzip")
		write(encoded(s.t, "gzip", `{"a":1}`))
	case "/cut":
		write("data: part 0.\n\n")
		s.next(w)
		panic(http.ErrAbortHandler)
	case "/breaks", "/closes":
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		if r.URL.Path == "/breaks" {
			_, _ = buffered.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\":")
			_ = buffered.Flush()
		}
		_ = conn.Close()
	case "/leave":
		write("data: part 0.\n\n")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			s.left <- struct{}{}
		case <-time.After(patience):
		}
	case "/socket":
		socket(w)
	default:
		http.NotFound(w, r)
	}
}

// parts answers in parts, each of which waits until the client has got the one before.
func (s *wireSite) parts(w http.ResponseWriter, events bool) {
	if events {
		w.Header().Set("Content-Type", "text/event-stream")
	}
	for i := range 3 {
		_, _ = fmt.Fprintf(w, "data: part %d.\n\n", i)
		s.next(w)
	}
}

// socket upgrades the connection and sends back what it gets.
func socket(w http.ResponseWriter) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-Websocket-Accept: x\r\n\r\n")
	_ = buffered.Flush()
	line, _ := buffered.ReadString('\n')
	_, _ = buffered.WriteString("back: " + line)
	_ = buffered.Flush()
}

// grpc answers as gRPC does: its status is a trailer. It reads the whole request first, since Caddy's
// proxy reads and closes a body side by side otherwise.
func (*wireSite) grpc(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // a client that breaks off is noticed below
	w.Header()["Date"] = nil
	w.Header().Set("Content-Type", "application/grpc")
	if r.URL.Path == "/grpc/fails" {
		w.Header().Set("Grpc-Status", "5") // trailers alone
		return
	}
	w.Header().Set("Trailer", "Grpc-Status")
	_, _ = w.Write([]byte("\x00\x00\x00\x00\x01a"))
	_ = http.NewResponseController(w).Flush()
	w.Header().Set("Grpc-Status", "0")
}

// varies is what differs between two answers to the same request.
var varies = regexp.MustCompile(`(?m)^(Date|Alt-Svc): .*\r\n`)

// raw sends bytes and returns all that comes back, byte for byte. At each part of an answer in
// steps it lets the application go on.
func (s *wireSite) raw(request string, secured bool, then string) string {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.plain)
	if secured {
		conn, err = tls.Dial("tcp", s.tls, &tls.Config{RootCAs: s.roots, NextProtos: []string{"http/1.1"}})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, request); err != nil {
		s.t.Fatal(err)
	}
	var got []byte
	buffer := make([]byte, 64<<10)
	for parts := 0; ; {
		n, err := conn.Read(buffer)
		got = append(got, buffer[:n]...)
		for ; bytes.Count(got, []byte("part ")) > parts; parts++ {
			if then == "leave" {
				return string(got)
			}
			s.step <- struct{}{}
		}
		if then != "" && bytes.Contains(got, []byte("101 Switching")) {
			_, _ = io.WriteString(conn, then)
			then = ""
		}
		if err != nil || bytes.HasSuffix(got, []byte("back: hello\n")) { // an upgrade ends when both sides want it
			return varies.ReplaceAllString(string(got), "") + "\n" + endOf(err)
		}
	}
}

// endOf is how a connection or an answer ended, without addresses.
func endOf(err error) string {
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return "EOF"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "unexpected EOF"
	default:
		return regexp.MustCompile(`127\.0\.0\.1:\d+|stream ID \d+|stream \d+`).ReplaceAllString(err.Error(), "…")
	}
}

// wireRequests are requests over HTTP/1.1, in which %s is the path of a form.
var wireRequests = []struct {
	name, request, then string
	// waits: the answer comes in steps, for which a strict one cannot wait.
	waits bool
}{
	{name: "JSON", request: "GET /%s/json HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"},
	{name: "two on a connection", request: "GET /%[1]s/json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /%[1]s/json HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"},
	{name: "HTTP/1.0", request: "GET /%s/json HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n"},
	{name: "HEAD", request: "HEAD /%s/file HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"},
	{name: "Range", request: "GET /%s/file HTTP/1.1\r\nHost: 127.0.0.1\r\nRange: bytes=5-9\r\nConnection: close\r\n\r\n"},
	{name: "several ranges that fail", request: "GET /%s/file HTTP/1.1\r\nHost: 127.0.0.1\r\nRange: bytes=5000-\r\nConnection: close\r\n\r\n"},
	{name: "304", request: "GET /%s/file HTTP/1.1\r\nHost: 127.0.0.1\r\nIf-Modified-Since: Fri, 02 Jan 2026 03:04:05 GMT\r\nConnection: close\r\n\r\n"},
	{name: "204", request: "GET /%s/none HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"},
	{name: "404", request: "GET /%s/nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"},
	{name: "103", request: "GET /%s/hints HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"},
	{name: "trailers", request: "GET /%s/trailers HTTP/1.1\r\nHost: 127.0.0.1\r\nTE: trailers\r\nConnection: close\r\n\r\n"},
	{name: "trailers that are not announced", request: "GET /%s/late HTTP/1.1\r\nHost: 127.0.0.1\r\nTE: trailers\r\nConnection: close\r\n\r\n"},
	{name: "encoded", request: "GET /%s/gzip HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"},
	{name: "POST", request: "POST /%s/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 7\r\nConnection: close\r\n\r\n{\"a\":1}"},
	{name: "chunked POST", request: "POST /%s/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"},
	{name: "POST that is not read", request: "POST /%s/json HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 7\r\nConnection: close\r\n\r\n{\"a\":1}"},
	{name: "POST that breaks off", request: "POST /%s/echo HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: 7\r\nExpect: 100-continue\r\n\r\n{\"a\":1}"},
	{name: "steps", request: "GET /%s/steps HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", waits: true},
	{name: "server-sent events", request: "GET /%s/events HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"},
	{name: "an upstream that breaks off", request: "GET /%s/breaks HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"},
	{name: "an upstream that closes", request: "GET /%s/closes HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"},
	{name: "WebSocket", request: "GET /%s/socket HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n", then: "hello\n"},
}

// TestEmitChangesNothing sends the same requests to the same application with and without
// webhooks_emit: what comes back is the same, byte for byte.
func TestEmitChangesNothing(t *testing.T) {
	s := startWireSite(t)
	for _, r := range wireRequests {
		for _, secured := range []bool{false, true} {
			want := s.raw(fmt.Sprintf(r.request, "without"), secured, r.then)
			if strings.Contains(want, "\r\nContent-Length: 0\r\n") && !strings.Contains(want, " 502 ") {
				t.Fatalf("%s: the application was not asked: %q", r.name, want)
			}
			for _, f := range wireForms[1:] {
				if r.waits && f.path == "strict" {
					continue
				}
				expected := want
				if f.path == "header" {
					expected = strings.ReplaceAll(want, "X-Event: device_created\r\n", "")
				}
				if got := s.raw(fmt.Sprintf(r.request, f.path), secured, r.then); got != expected {
					t.Errorf("%s, %s, TLS %t: got\n%q\nwant\n%q", r.name, f.path, secured, got, expected)
				}
			}
		}
	}
	for _, f := range wireForms { // the application hears of a client that breaks off
		if f.path != "strict" {
			s.raw(fmt.Sprintf("GET /%s/leave HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", f.path), false, "leave")
			select {
			case <-s.left:
			case <-time.After(patience):
				t.Errorf("%s: the application does not hear that the client has gone", f.path)
			}
		}
	}
}

// TestEmitChangesNothingHTTP2And3 does the same over HTTP/2 and HTTP/3.
func TestEmitChangesNothingHTTP2And3(t *testing.T) {
	s := startWireSite(t)
	two := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots}, ForceAttemptHTTP2: true}
	three := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots}}
	defer two.CloseIdleConnections()
	defer three.Close()
	for protocol, transport := range map[string]http.RoundTripper{"HTTP/2.0": two, "HTTP/3.0": three} {
		for _, path := range []string{
			"GET json", "GET large", "HEAD file", "GET file", "GET file range", "GET file since", "GET none", "GET nothing", "GET hints", "GET trailers", "GET late",
			"GET gzip", "POST echo", "POST json", "GET steps", "GET events", "GET breaks", "GET closes", "POST grpc", "POST grpc/fails",
		} {
			want := s.exchange(transport, "without", path)
			if !strings.HasPrefix(want, protocol) && path != "GET breaks" { // of which only an error may come
				t.Fatalf("got %q, want %s", want, protocol)
			}
			if path == "POST grpc" && !strings.Contains(want, "Grpc-Status [0]") {
				t.Fatalf("this is no answer of gRPC: %q", want)
			}
			for _, f := range wireForms[1:] {
				if f.path == "strict" && path == "GET steps" {
					continue
				}
				expected := want
				if f.path == "header" {
					expected = strings.ReplaceAll(want, "X-Event [device_created]\n", "")
				}
				got := s.exchange(transport, f.path, path)
				if path == "GET breaks" { // how much comes before the end depends on who is quicker
					got, expected = brokenOff(got), brokenOff(expected)
				}
				if got != expected || got == "" {
					t.Errorf("%s, %s, %s: got\n%s\nwant\n%s", protocol, path, f.path, got, expected)
				}
			}
		}
	}
}

// brokenOff says how an answer ended, if not well.
func brokenOff(told string) string {
	return regexp.MustCompile(`\w*(_ERROR|unexpected EOF)`).FindString(told)
}

// exchange makes a request and tells all that comes back.
func (s *wireSite) exchange(transport http.RoundTripper, form, path string) string {
	s.t.Helper()
	words := strings.Fields(path)
	var body io.Reader
	if words[0] == http.MethodPost {
		body = strings.NewReader(`{"a":1}`)
	}
	var told strings.Builder
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		fmt.Fprintln(&told, code, h)
		return nil
	}})
	req, err := http.NewRequestWithContext(ctx, words[0], "https://"+s.tls+"/"+form+"/"+words[1], body)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "identity")
	if len(words) > 2 {
		req.Header.Set(map[string]string{"range": "Range", "since": "If-Modified-Since"}[words[2]], map[string]string{"range": "bytes=5-9", "since": modified.Format(http.TimeFormat)}[words[2]])
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return "error " + endOf(err)
	}
	defer res.Body.Close()
	header := func(h http.Header) {
		for _, name := range slices.Sorted(maps.Keys(h)) {
			if name != "Date" && name != "Alt-Svc" {
				fmt.Fprintln(&told, name, h[name])
			}
		}
	}
	header(res.Header)
	reader := bufio.NewReader(res.Body)
	for {
		line, err := reader.ReadString('\n')
		told.WriteString(line)
		if strings.Contains(line, "part ") {
			s.step <- struct{}{}
		}
		if err != nil {
			fmt.Fprintln(&told, "\n"+endOf(err))
			break
		}
	}
	header(res.Trailer)
	return fmt.Sprintln(res.Proto, res.Status, res.ContentLength) + told.String()
}
