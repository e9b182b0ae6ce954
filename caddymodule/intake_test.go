package caddymodule_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/caddymodule"
)

// TestUnfinishedBodies has sixty bodies of some 2 MiB that lack their last byte: they hold
// 32 MiB together, none holds up what others emit, and all are ended.
func TestUnfinishedBodies(t *testing.T) {
	t.Cleanup(caddymodule.SetBodyPatience(time.Second)) // and 8 s for the length of these
	s := startSite(t, siteConfig{})
	s.ready()
	const size, bodies = 2<<20 - 1, 60
	spaces := bytes.Repeat([]byte(" "), size-1)
	before := heap()
	statuses := make(chan int, bodies)
	for range bodies {
		conn := s.dial(emitHead(size))
		t.Cleanup(func() { conn.Close() })
		go func() {
			// Caddy does not read the rest of a body that it refuses.
			_, _ = conn.Write(spaces)
			statuses <- statusOf(conn)
		}()
	}
	counts := make(map[int]int)
	for range 20 { // those that find no room
		counts[<-statuses]++
	}
	if held := heap() - before; held > 128<<20 {
		t.Errorf("%d MiB are held", held>>20)
	}
	s.emit(`{"event_type":"group_created","data":{}}`).want(t, http.StatusAccepted, nil)
	for range bodies - 20 {
		counts[<-statuses]++
	}
	if counts[http.StatusRequestTimeout] < 10 || counts[http.StatusRequestTimeout]+counts[http.StatusTooManyRequests] != bodies {
		t.Errorf("got %v", counts)
	}
	eventually(t, "all to be as before", func() bool {
		return s.emit(`["`+strings.Repeat("x", 15<<20)).status == http.StatusBadRequest
	})
	s.wantCalm()
}

// TestLargeUnfinishedBodies has forty bodies of 15 MiB that lack their last byte: those of one
// tenant, those of a tenant each, and those of somebody without a token. However many they say they
// are, they hold what there is room for, and others emit meanwhile. TestArrival says how long they
// have.
func TestLargeUnfinishedBodies(t *testing.T) {
	s := startSite(t, siteConfig{handler: "emit_token " + emitToken + "\ntenant {header.X-Tenant}"})
	s.ready()
	const size, bodies = 15<<20 - 1, 40
	spaces := bytes.Repeat([]byte(" "), size-1)
	for whose, c := range map[string]struct {
		headers func(n int) string
		status  int // of those that are refused
		held    int // the others
	}{
		"one tenant's":   {func(int) string { return "Authorization: " + asEmitter + "\r\nX-Tenant: a" }, http.StatusTooManyRequests, 2},
		"many tenants'":  {func(n int) string { return fmt.Sprintf("Authorization: %s\r\nX-Tenant: a%d", asEmitter, n) }, http.StatusTooManyRequests, 3},
		"without tokens": {func(int) string { return "X-Tenant: a" }, http.StatusUnauthorized, 0},
	} {
		t.Run(whose, func(t *testing.T) {
			before := heap()
			statuses := make(chan int, bodies)
			for n := range bodies {
				conn := s.dial(fmt.Sprintf("POST /hooks/api/events HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n\r\n", s.addr, size, c.headers(n)))
				defer conn.Close()
				go func() {
					_, _ = conn.Write(spaces)
					statuses <- statusOf(conn)
				}()
			}
			emit := func(body string) reply {
				return s.do(http.MethodPost, "/hooks/api/events", body, "Authorization", asEmitter, "X-Tenant", "victim")
			}
			for refused := range bodies - c.held {
				if got := <-statuses; got != c.status && got != 0 { // 0: it was writing when Caddy had answered
					t.Errorf("a body is answered with %d", got)
				}
				if refused%10 == 0 {
					emit(`{"event_type":"group_created","data":{}}`).want(t, http.StatusAccepted, nil)
				}
			}
			if held := heap() - before; held > 128<<20 {
				t.Errorf("%d MiB are held", held>>20)
			}
			if n := len(statuses); n > 0 {
				t.Errorf("%d more are answered", n)
			}
		})
		eventually(t, "all to be as before", func() bool {
			large := s.do(http.MethodPost, "/hooks/api/events", `["`+strings.Repeat("x", 15<<20), "Authorization", asEmitter, "X-Tenant", "victim")
			return large.status == http.StatusBadRequest
		})
	}
	s.wantCalm()
}

// heap is how much memory is in use, in bytes.
func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// statusOf is the status that a connection is answered with, 0 if it is ended without an
// answer.
func statusOf(conn net.Conn) int {
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}
