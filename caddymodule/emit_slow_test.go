package caddymodule_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestEmitSlowUploads has strangers upload all that emit_queue holds, and never end: the requests of
// others are events all the same.
func TestEmitSlowUploads(t *testing.T) {
	s := startEmitSite(t, product(t), "emit_queue 2MiB\n", `
		webhooks_emit /request device_created {
			data request
		}
		reverse_proxy $product
	`)
	const strangers, each = 60, 60_000
	var open []net.Conn
	for range strangers {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		open = append(open, conn)
		if _, err := fmt.Fprintf(conn, "POST /request HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", s.addr, 2*each, strings.Repeat("x", each)); err != nil {
			t.Fatal(err)
		}
	}
	memory := func() float64 { return scrape(t, "http://"+s.addr+"/metrics")["gateway_memory_bytes"] }
	eventually(t, "strangers to hold most of the memory", func() bool { return memory() > 5<<18 })
	before := s.counted()
	const sent = `{"large":"%s"}` // more than what is left
	eventually(t, "the event of somebody else", func() bool {
		s.do(http.MethodPost, "/request", fmt.Sprintf(sent, strings.Repeat("l", 900_000))).want(t, http.StatusOK, nil)
		return s.counted()["emitted"] > before["emitted"]
	})
	if ev := s.event(); !strings.HasPrefix(string(ev.Data), `{"large":"lll`) {
		t.Errorf("got %.100s", ev.Data)
	}
	for _, conn := range open { // whoever goes on is served
		_, _ = io.WriteString(conn, strings.Repeat("x", each))
		if got, err := io.ReadAll(io.LimitReader(conn, 12)); err != nil || string(got) != "HTTP/1.1 200" {
			t.Errorf("a slow upload is answered with %q, %v", got, err)
		}
	}
	eventually(t, "no memory to be held", func() bool { return memory() == 0 })
}
