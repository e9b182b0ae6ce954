package sender

import (
	"bytes"
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// BenchmarkSend measures a request with its endpoint, which is in this process,
// from 64 senders at once.
func BenchmarkSend(b *testing.B) {
	ca := newAuthority(b)
	for _, protocol := range []string{"plain", "tls", "h2"} {
		b.Run(protocol, func(b *testing.B) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(http.StatusNoContent)
			}))
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.EnableHTTP2 = protocol == "h2"
			if protocol == "plain" {
				server.Start()
			} else {
				server.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue()}}
				server.StartTLS()
			}
			b.Cleanup(server.Close)
			s := newSender(b, trusting(ca))
			m := usualMessage(server.URL)
			b.ReportAllocs()
			b.SetParallelism(32) // times the number of processors
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if r := s.Send(b.Context(), m); r.StatusCode != 204 {
						b.Errorf("got %+v", r)
					}
				}
			})
		})
	}
}

// usualMessage is a message to an endpoint, as long as most are.
func usualMessage(url string) Message {
	m := message("")
	m.Target = NewTarget(url+"/hooks", http.Header{
		"User-Agent": {"Caddy-Webhooks"}, "Content-Type": {"application/json"},
	}, "X-Level-Signature")
	m.Values = []string{"sha256=" + strings.Repeat("0", 64)}
	m.Body = bytes.Repeat([]byte("x"), 500)
	return m
}
