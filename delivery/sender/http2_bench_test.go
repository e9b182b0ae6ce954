//go:build unix

package sender

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// BenchmarkHTTP2 measures the CPU time, user and system, of a request over one connection
// of HTTP/2, with its endpoint, which is in this process, so many being in flight.
func BenchmarkHTTP2(b *testing.B) {
	ca := newAuthority(b)
	server := httptest.NewUnstartedServer(http.HandlerFunc(noContent))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue()}}
	server.StartTLS()
	defer server.Close()
	for _, inFlight := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(inFlight), func(b *testing.B) { benchmarkHTTP2(b, ca, server.URL, inFlight) })
	}
}

func benchmarkHTTP2(b *testing.B, ca *authority, url string, inFlight int) {
	s := newSender(b, trusting(ca))
	m := message("")
	m.Target = NewTarget(url+"/hooks", http.Header{"User-Agent": {"Caddy-Webhooks"}, "Content-Type": {"application/json"}}, "X-Level-Signature")
	m.Values = []string{"sha256=" + strings.Repeat("0", 64)}
	m.Body = bytes.Repeat([]byte("x"), 500)
	s.Send(b.Context(), m)
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	for range inFlight {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				if r := s.Send(b.Context(), m); r.StatusCode != http.StatusNoContent {
					b.Errorf("got %+v", r)
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// cpuTime is what this process has used so far.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
