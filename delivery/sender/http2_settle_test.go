package sender

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// An endpoint that takes few requests at a time gets more connections, also from
// requests that come together when nothing is known of it.
func TestFewStreams(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	for _, limit := range []int{1, 3} {
		for _, proxied := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d, through a proxy: %t", limit, proxied), func(t *testing.T) {
				t.Parallel()
				g := newGate()
				server := httptest.NewUnstartedServer(g)
				server.EnableHTTP2 = true
				server.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue()}}
				server.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: limit}
				server.StartTLS()
				defer server.Close()
				var proxy *url.URL
				if proxied {
					proxy = newConnectProxy(t, http.StatusOK, nil).url
				}
				s := newSender(t, trusting(ca), func(c *Config) { c.Destinations.Proxy = proxy })
				for range 3 {
					g.together(t, s, message(server.URL), 8)
				}
			})
		}
	}
}

// A request that is alone does not wait to hear how many the endpoint takes at a
// time, but no other follows it until that is known.
func TestLoneRequestDoesNotWaitForSettings(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.issue()}, NextProtos: []string{"h2"}}
	arrived, leave := make(chan struct{}), make(chan struct{})
	first := make(chan bool, 1)
	first <- true
	url := "https://" + serve(t, func(tcp net.Conn) {
		conn := tls.Server(tcp, config)
		_, _ = io.ReadFull(conn, make([]byte, len(http2.ClientPreface)))
		f := http2.NewFramer(conn, conn)
		late := false
		select {
		case late = <-first:
		default:
			_ = f.WriteSettings()
		}
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			if data, ok := frame.(*http2.DataFrame); ok && data.StreamEnded() {
				if late {
					arrived <- struct{}{}
					<-leave
					_ = f.WriteSettings()
				}
				stream{f, conn, data.StreamID, 0}.answer204()
			}
		}
	})
	s := newSender(t, trusting(ca))
	s.transport.HTTP2.SendPingTimeout = 0 // none
	var lone sync.WaitGroup
	lone.Go(func() { s.Send(t.Context(), message(url)).want(t, Response{StatusCode: 204}) })
	<-arrived
	s.Send(t.Context(), message(url)).want(t, Response{StatusCode: 204})
	close(leave)
	lone.Wait()
}

// A request that waits for that does so within its timeout.
func TestSettingsThatDoNotCome(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.issue()}, NextProtos: []string{"h2"}}
	var open atomic.Int32
	m := message("https://" + serve(t, func(tcp net.Conn) {
		open.Add(1)
		_, _ = io.Copy(io.Discard, tls.Server(tcp, config))
		open.Add(-1)
	}))
	m.Timeout = 300 * time.Millisecond
	s := newSender(t, trusting(ca))
	s.transport.HTTP2.SendPingTimeout = 0 // none
	other := endpoint{scheme: "https", host: strings.TrimPrefix(m.URL, "https://")}
	s.pool.begin(other)
	if r := s.Send(t.Context(), m); !r.TimedOut {
		t.Errorf("got %+v", r)
	}
	s.pool.abandon(other)
	if n := len(s.pool.endpoints); n > 0 {
		t.Errorf("connections to %d endpoints are left", n)
	}
	eventually(t, "the connection is closed", func() bool { return open.Load() == 0 })
}
