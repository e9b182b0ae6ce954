package caddymodule_test

import (
	"bufio"
	"bytes"
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
