//go:build unix

package sender

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
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
	m := webhookOverHTTP2(b, ca)
	for _, inFlight := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(inFlight), func(b *testing.B) { benchmarkHTTP2(b, ca, m, inFlight) })
	}
}

// BenchmarkFirstRequests measures the same for 64 requests that come together when there is
// no connection.
func BenchmarkFirstRequests(b *testing.B) {
	ca := newAuthority(b)
	m := webhookOverHTTP2(b, ca)
	before := cpuTime(b)
	for b.Loop() {
		s := newSender(b, trusting(ca))
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() { s.Send(b.Context(), m) })
		}
		all.Wait()
		s.Close()
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// webhookOverHTTP2 starts an endpoint, and makes a message to it as long as most are.
func webhookOverHTTP2(b *testing.B, ca *authority) Message {
	b.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(noContent))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue()}}
	server.StartTLS()
	b.Cleanup(server.Close)
	return usualMessage(server.URL)
}

func benchmarkHTTP2(b *testing.B, ca *authority, m Message, inFlight int) {
	s := newSender(b, trusting(ca))
	s.Send(b.Context(), m)
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	for range inFlight {
		all.Go(func() {
			m := m
			for n := left.Add(-1); n >= 0; n = left.Add(-1) {
				// As signatures do, it differs each time.
				m.Values = []string{fmt.Sprintf("sha256=%064x", uint64(n)*0x9E3779B97F4A7C15)}
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
