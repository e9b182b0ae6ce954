package sender

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

func TestKeepAlive(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		values []string
		want   time.Duration
	}{
		{nil, forever},
		{[]string{"timeout=5"}, 4 * time.Second},
		{[]string{"timeout=5, max=1000"}, 4 * time.Second},
		{[]string{"max=99,TIMEOUT=60"}, 59 * time.Second},
		{[]string{"max=99", " timeout=3 "}, 2 * time.Second},
		{[]string{"timeout=2"}, time.Second},
		{[]string{"timeout=1"}, 500 * time.Millisecond},
		{[]string{"timeout=0"}, 0},
		{[]string{"timeout=9, timeout=5"}, 4 * time.Second},
		{[]string{"timeout=5, max=0"}, 0},
		{[]string{"", "timeout", "timeout=", "timeout=-1", "timeout=soon", "timeout=99999999999", "=5", ",,"}, forever},
	} {
		if got := keepAlive(http.Header{"Keep-Alive": tc.values}); got != tc.want {
			t.Errorf("%q: %s, not %s", tc.values, got, tc.want)
		}
	}
}

// What the endpoint says of a connection goes with it into the pool.
func TestKeepAliveIsNoted(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Keep-Alive", "timeout=5") })
	plain := httptest.NewServer(handler)
	t.Cleanup(plain.Close)
	old := httptest.NewUnstartedServer(handler)
	old.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue()}}
	old.StartTLS()
	t.Cleanup(old.Close)
	for _, tc := range []struct {
		name   string
		server *httptest.Server
		want   time.Duration
	}{
		{"http", plain, 4 * time.Second},
		{"https", old, 4 * time.Second},
		{"HTTP/2", serveTLS(t, ca.issue(), handler), forever}, // where it means nothing
	} {
		for _, proxied := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, through a proxy: %t", tc.name, proxied), func(t *testing.T) {
				s := newSender(t, trusting(ca), func(c *Config) {
					if proxied {
						c.Destinations.Proxy = newConnectProxy(t, http.StatusOK, nil).url
					}
				})
				s.Send(t.Context(), message(tc.server.URL)).want(t, Response{StatusCode: 200})
				if got := s.pool.newest.keepFor; got != tc.want {
					t.Errorf("the connection is kept for %s", got)
				}
			})
		}
	}
}

// A connection that the endpoint is about to close is not used.
func TestStaleConnectionIsNotUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pool
		p.init(10)
		defer p.close()
		for _, tc := range []struct {
			keepFor, idle time.Duration
			used          bool
		}{
			{4 * time.Second, 4 * time.Second, true},
			{4 * time.Second, 4*time.Second + 1, false},
			{forever, idleConnTimeout - 1, true},
		} {
			conn := &timedConnection{began: time.Now()}
			p.begin(endpoint{})
			p.put(p.add(endpoint{}, conn, false), tc.keepFor)
			time.Sleep(tc.idle)
			c := p.get(endpoint{}, time.Time{})
			if used := c != nil; used != tc.used || (conn.lived == 0) != tc.used {
				t.Errorf("%+v: used: %t, closed after %s", tc, used, conn.lived)
			}
			if c != nil {
				p.put(c, 0)
			}
		}
	})
}
