package sender

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// guardedHosts are hosts with ranges that are allowed and denied, and the failure of a
// request to each. PORT stands for the port.
var guardedHosts = []struct{ name, host, allow, deny, want string }{
	{"an address", "127.0.0.1", "", "", notPublic},
	{"a name", "inside.example", "", "", notPublic},
	{"a name in capitals, with a dot", "INSIDE.example.", "", "", notPublic},
	{"an address, IPv4-mapped", "[::ffff:127.0.0.1]", "", "", notPublic},
	{"an address, IPv4-mapped, in hex", "[::ffff:7f00:1]", "", "", notPublic},
	{"a name, IPv4-mapped", "mapped.example", "", "", notPublic},
	{"an address, NAT64", "[64:ff9b::127.0.0.1]", "", "", notPublic},
	{"a name, NAT64", "nat64.example", "", "", notPublic},
	{"another range allowed", "meta.example", "127.0.0.0/8", "", notPublic},
	{"denied", "127.0.0.1", "", "127.0.0.0/8", denied},
	{"allowed", "127.0.0.1", "127.0.0.0/8", "", ""},
	{"allowed, by name", "inside.example", "127.0.0.0/8", "", ""},
	{"allowed, IPv4-mapped", "[::ffff:127.0.0.1]", "127.0.0.0/8", "", ""},
	{"one of two allowed", "mixed.example", "127.0.0.0/8", "", ""},
	{"one of two denied", "pair.example", "127.0.0.0/8", "127.0.0.9/32", ""},
	{"link-local beside one allowed", "local.example", "127.0.0.0/8", "", ""},
	{"forbidden beside one that refuses", "closed.example", "127.0.0.0/8", "", "connection refused by closed.example:PORT" + nobodyListens},
	{"two of two denied", "pair.example", "127.0.0.0/8", "127.0.0.0/8", denied},
	{"denied, though allowed", "127.0.0.1", "127.0.0.0/8", "127.0.0.1/32", denied},
	{"denied by name, though allowed", "inside.example", "0.0.0.0/0", "127.0.0.1/32", denied},
	{"denied, IPv4-mapped, though allowed", "[::ffff:127.0.0.1]", "0.0.0.0/0", "127.0.0.1/32", denied},
}

// countedEndpoint starts an endpoint on 127.0.0.1, and counts the requests that come.
func countedEndpoint(t *testing.T) (port string, called *atomic.Int32) {
	t.Helper()
	called = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		called.Add(1)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	_, port, _ = net.SplitHostPort(server.Listener.Addr().String())
	return port, called
}

// The address is checked when the connection is made, after DNS.
func TestForbiddenAddressesAreNotDialled(t *testing.T) {
	port, called := countedEndpoint(t)
	dnsZone(t, map[string][]string{
		"inside.example": {"127.0.0.1"},
		"mixed.example":  {"169.254.169.254", "127.0.0.1"},
		"pair.example":   {"127.0.0.9", "127.0.0.1"},
		"mapped.example": {"::ffff:127.0.0.1"},
		"nat64.example":  {"64:ff9b::7f00:1"},
		"meta.example":   {"169.254.169.254"},
		"local.example":  {"fe80::1", "127.0.0.1"},
		"closed.example": {"fe80::1", "127.0.0.2"}, // where nothing listens
	})
	for _, tc := range guardedHosts {
		t.Run(tc.name, func(t *testing.T) {
			called.Store(0)
			s := newSender(t, func(c *Config) {
				c.Destinations = Destinations{AllowHTTP: true}
				if tc.allow != "" {
					c.Destinations.Allow = prefixes(tc.allow)
				}
				if tc.deny != "" {
					c.Destinations.Deny = prefixes(tc.deny)
				}
			})
			want, calls := Response{Failure: strings.Replace(tc.want, "PORT", port, 1)}, int32(0)
			if tc.want == "" {
				want, calls = Response{StatusCode: 204}, 1
			}
			s.Send(t.Context(), message("http://"+tc.host+":"+port)).want(t, want)
			if got := called.Load(); got != calls {
				t.Errorf("the endpoint was called %d times", got)
			}
		})
	}
}

// A name may lead elsewhere than when the webhook was created, or when the last request was
// made.
func TestNamesAreCheckedAtEachConnection(t *testing.T) {
	var called atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		called.Add(1)
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	m := message("http://moving.example:" + port)
	s := newSender(t, func(c *Config) { c.Destinations.Allow = prefixes("127.0.0.1/32") })
	for _, at := range []struct {
		address string
		want    Response
	}{
		{"127.0.0.1", Response{StatusCode: 204}},
		{"127.0.0.9", Response{Failure: notPublic}},
		{"169.254.169.254", Response{Failure: notPublic}},
		{"127.0.0.1", Response{StatusCode: 204}},
	} {
		dnsZone(t, map[string][]string{"moving.example": {at.address}})
		r := s.Send(t.Context(), m)
		r.want(t, at.want)
		var refused *RefusedError
		if errors.As(r.Cause, &refused) != (at.want.Failure != "") || refused != nil && (refused.Host != "moving.example" || refused.Addr.String() != at.address) {
			t.Errorf("the log is told of %+v, not %s", refused, at.address)
		}
	}
	if n := called.Load(); n != 2 {
		t.Errorf("the endpoint was called %d times", n)
	}
}

// The machine's resolver says which addresses localhost has.
func TestLocalhostIsForbidden(t *testing.T) {
	s := New(new(Config))
	defer s.Close()
	r := s.Send(t.Context(), message("https://localhost/"))
	r.want(t, Response{Failure: notPublic})
}
