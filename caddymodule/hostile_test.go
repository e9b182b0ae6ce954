package caddymodule_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// wantCalm wants nothing in the log that somebody would have to look after.
func (s *caddySite) wantCalm() {
	s.t.Helper()
	log, err := os.ReadFile(s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, `"level":"error"`) && !strings.Contains(line, "/hooks/api/health") || strings.Contains(line, "panic") {
			s.t.Errorf("the log says %.2000s", line)
		}
	}
}

// dial sends the beginning of a call, as it is.
func (s *caddySite) dial(beginning string) net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, beginning); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

// emitHead begins an emit whose body has so many bytes.
func emitHead(length int) string {
	return fmt.Sprintf("POST /hooks/api/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", asEmitter, length)
}

// TestClientsGoAway breaks calls off: in the middle of the body, and while they
// wait for a Redis that hangs. Nothing is left of them.
func TestClientsGoAway(t *testing.T) {
	redis := redistest.Start(t)
	s := startSite(t, siteConfig{webhooks: "store redis redis://" + redis.Addr})
	s.ready()
	event := `{"event_type":"group_created","event_id":"` + noID + `","data":{}}`
	s.emit(event).want(t, 202, nil)
	http.DefaultClient.CloseIdleConnections()
	before := runtime.NumGoroutine()
	const clients = 50
	for i := range clients {
		s.dial(emitHead(len(event)+1) + event[:i]).Close()
	}

	if err := redis.Freeze(); err != nil {
		t.Fatal(err)
	}
	var conns []net.Conn
	for range clients {
		conns = append(conns, s.dial(emitHead(len(event))+event))
	}
	eventually(t, "the calls to wait for the store", func() bool { return runtime.NumGoroutine() >= before+clients })
	for _, conn := range conns {
		conn.Close()
	}
	eventually(t, "the calls to end", func() bool { return runtime.NumGoroutine() < before+clients/2 })
	if err := redis.Thaw(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an emit", func() bool { return s.emit(event).status == http.StatusAccepted })
	http.DefaultClient.CloseIdleConnections()
	eventually(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before+5 })
	s.wantCalm()
}

// TestHalfClosed has clients that stop sending but still read. None of them is
// told a success.
func TestHalfClosed(t *testing.T) {
	redis := redistest.Start(t)
	s := startSite(t, siteConfig{webhooks: "store redis redis://" + redis.Addr})
	s.ready()
	event := `{"event_type":"group_created","event_id":"` + noID + `","data":{}}`
	if got := s.answerTo(emitHead(len(event)) + event[:20]); !strings.HasPrefix(got, "HTTP/1.1 400") {
		t.Errorf("half a body is answered with %q", got)
	}
	if err := redis.Freeze(); err != nil {
		t.Fatal(err)
	}
	// One of them writes into the store and cannot be broken off; the others wait
	// for it.
	const clients = 5
	answers := make(chan string)
	for range clients {
		go func() { answers <- s.answerTo(emitHead(len(event)) + event) }()
	}
	for range clients - 1 {
		if got := <-answers; got != "" {
			t.Errorf("a call that was broken off is answered with %q", got)
		}
	}
	if err := redis.Thaw(); err != nil {
		t.Fatal(err)
	}
	if got := <-answers; got != "" && !strings.HasPrefix(got, "HTTP/1.1 202") {
		t.Errorf("the first call is answered with %q", got)
	}
	s.wantCalm()
}

// answerTo sends something, nothing more, and reads what comes until the end.
func (s *caddySite) answerTo(sent string) string {
	conn := s.dial(sent)
	defer conn.Close()
	if tcp, ok := conn.(*net.TCPConn); !ok || tcp.CloseWrite() != nil {
		s.t.Error("cannot stop sending")
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		s.t.Error(err)
	}
	return string(answer)
}

// TestSlowBody sends a body that stops coming. How long that may last is up to
// Caddy; a call that it ends is answered, and leaves nothing behind.
func TestSlowBody(t *testing.T) {
	for _, option := range []string{"read_body 300ms", "read_body_idle 300ms"} {
		t.Run(option, func(t *testing.T) {
			s := startSite(t, siteConfig{
				webhooks: "store redis redis://" + redistest.Start(t).Addr,
				global:   "servers {\ntimeouts {\n" + option + "\n}\n}",
			})
			s.ready()
			conn := s.dial(emitHead(1000) + `{"event_type":"group_created",`)
			defer conn.Close()
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if res.StatusCode != http.StatusRequestTimeout || !res.Close {
				t.Errorf("got %s, and the connection ends: %t", res.Status, res.Close)
			}
			s.wantCalm()
		})
	}
}

// hostileSite takes any event type and has the tenant in a header.
func hostileSite(t *testing.T) *caddySite {
	t.Helper()
	s := startSite(t, siteConfig{
		webhooks: "store redis redis://" + redistest.Start(t).Addr + "\nevent_types *\ndestinations {\nallow 127.0.0.0/8\n}",
		handler:  "insecure_no_auth\ntenant {header.X-Tenant}",
	})
	s.ready()
	return s
}

// hostile makes a call that is none of a documented client's.
func (s *caddySite) hostile(method, path, body string, headers ...string) reply {
	s.t.Helper()
	headers = append([]string{"X-Tenant", "default"}, headers...)
	e, err := exchangeWith(http.DefaultClient, method, "http://"+s.addr+path, body, headers...)
	if err != nil {
		s.t.Fatalf("%s %.100s: %v", method, path, err)
	}
	return replyOf(e)
}

// TestHostileCalls has paths, queries and headers that are hard to swallow.
func TestHostileCalls(t *testing.T) {
	s := hostileSite(t)
	long := strings.Repeat("x", 10_000)
	for name, c := range map[string]struct {
		method, path string
		headers      []string
		want         int
	}{
		"long id":                     {"GET", "/api/webhooks/" + long, nil, 404},
		"NUL in id":                   {"GET", "/api/webhooks/" + noID[:35] + "%00", nil, 404},
		"invalid UTF-8 in id":         {"GET", "/api/events/%ff%fe", nil, 404},
		"invalid UTF-8 in path":       {"GET", "/%ff", nil, 404},
		"escaped slash":               {"GET", "/api%2Fwebhooks", nil, 200},
		"up":                          {"GET", "/api/webhooks/../requests", nil, 200},
		"escaped up":                  {"GET", "/api/webhooks/%2e%2e/requests", nil, 200},
		"many parts":                  {"DELETE", "/api/webhooks" + strings.Repeat("/x", 4_000), nil, 404},
		"other method":                {"BREW", "/api/webhooks", nil, 405},
		"method that only looks like": {"get", "/api/webhooks", nil, 405},
		"long query":                  {"GET", "/api/requests?event_type=" + long, nil, 400},
		"long name":                   {"GET", "/api/requests?" + long + "=1", nil, 400},
		"many parameters":             {"GET", "/api/requests?" + strings.Repeat("limit=1&", 1_000), nil, 400},
		"only separators":             {"GET", "/api/requests?" + strings.Repeat("&", 1_000), nil, 200},
		"nothing but an =":            {"GET", "/api/requests?=", nil, 400},
		"invalid UTF-8 in name":       {"GET", "/api/requests?%ff=1", nil, 400},
		"invalid UTF-8 in value":      {"GET", "/api/requests?status=%ff", nil, 400},
		"NUL in value":                {"GET", "/api/requests?event_type=%00", nil, 400},
		"half an escape":              {"GET", "/api/requests?limit=%", nil, 400},
		"huge limit":                  {"GET", "/api/requests?limit=" + strings.Repeat("9", 1_000), nil, 400},
		"far future":                  {"GET", "/api/requests?since=9999-12-31T23:59:59.999999999Z", nil, 200},
		"far past":                    {"GET", "/api/requests?until=0002-01-01T00:00:00Z", nil, 200},
		"since after until":           {"GET", "/api/requests?since=2026-01-01T00:00:00Z&until=2025-01-01T00:00:00Z", nil, 200},
		"long fraction":               {"GET", "/api/requests?since=2026-01-01T00:00:00." + strings.Repeat("1", 5_000) + "Z", nil, 200},
		"greatest cursor":             {"GET", "/api/requests?cursor=Af____________________8", nil, 200},
		"long cursor":                 {"GET", "/api/requests?cursor=" + long, nil, 400},
		"invalid UTF-8 in tenant":     {"GET", "/api/webhooks", []string{"X-Tenant", "\xff"}, 400},
		"long tenant":                 {"GET", "/api/webhooks", []string{"X-Tenant", long}, 400},
		"placeholder in tenant":       {"GET", "/api/webhooks", []string{"X-Tenant", "{http.request.host}"}, 400},
		"tenant like a key":           {"GET", "/api/webhooks", []string{"X-Tenant", "a:b"}, 400},
		"long origin":                 {"DELETE", "/api/webhooks/x", []string{"Origin", long}, 403},
		"invalid UTF-8 in origin":     {"DELETE", "/api/webhooks/x", []string{"Origin", "\xff"}, 403},
		"media type":                  {"PATCH", "/api/webhooks/x", []string{"Content-Type", strings.Repeat(";", 5_000)}, 415},
		"media type with parameters":  {"PATCH", "/api/webhooks/x", []string{"Content-Type", "application/json" + strings.Repeat(";charset=utf-8", 500)}, 400},
		"invalid UTF-8 in media type": {"PATCH", "/api/webhooks/x", []string{"Content-Type", "application/json;charset=\xff"}, 415},
		"too much for Caddy":          {"GET", "/api/requests?" + strings.Repeat("x", 100_000), nil, 431},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.hostile(c.method, "/hooks"+c.path, "", c.headers...)
			if got.want(t, c.want, nil); c.want != 200 && c.want != 431 {
				got.wantProblem(t, c.want)
			}
		})
	}
	s.wantCalm()
}
