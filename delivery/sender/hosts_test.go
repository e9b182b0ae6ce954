package sender

import (
	"net/http"
	"strings"
	"testing"
)

func hosts(t testing.TB, values ...string) (all []HostPattern) {
	t.Helper()
	for _, value := range values {
		p, err := ParseHostPattern(value)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func TestParseHostPattern(t *testing.T) {
	label := strings.Repeat("a", 63)
	for _, value := range []string{"a", "hooks.internal", "Example.COM.", "*.example.com", "*.com", "bücher.example", "*.bücher.example", "under_score.example", label + ".example", "1.example"} {
		hosts(t, value)
	}
	for _, value := range []string{
		"", ".", "*", "*.", "*.*.example", "a.*.example", "*a.example", "a..b", ".a", "https://a.example", "a.example:443", "a.example/", "a b", "[::1]", "::1", "\u00ad", "℀.example",
		"a" + label, strings.Repeat(label+".", 4),
	} {
		if p, err := ParseHostPattern(value); err == nil || err.Error() != "'"+value+"' is not a host name such as hooks.internal or *.example.com" {
			t.Errorf("%q: got %+v, %v", value, p, err)
		}
	}
	for _, value := range []string{"127.0.0.1", "１２７.0.0.1", "127.1", "2130706433", "*.1", "10.0.0.256"} {
		if p, err := ParseHostPattern(value); err == nil || err.Error() != "'"+value+"' is an address, not a host name" {
			t.Errorf("%q: got %+v, %v", value, p, err)
		}
	}
}

const deniedHost = "the host is denied by the configuration: ask the operator of this server"

// A host has many spellings, of which none gets past deny.
func TestDeniedHosts(t *testing.T) {
	for _, tc := range []struct{ deny, denied, open string }{
		{
			"example.com", "example.com example.com. EXAMPLE.com:8443 ｅｘａｍｐｌｅ.com example。com",
			"a.example.com example.com.example example.net notexample.com",
		},
		{
			"*.example.com", "a.example.com A.EXAMPLE.COM. a.b.c.example.com -.example.com ａ.example.com",
			"example.com example.com. notexample.com .example.com a.example.com.example",
		},
		{"BÜCHER.example.", "bücher.example xn--bcher-kva.example XN--BCHER-KVA.example B%C3%BCcher.example", "bucher.example"},
		{"*.bücher.example", "a.bücher.example a.xn--bcher-kva.example:1", "bücher.example"},
		{"localhost", "localhost LOCALHOST.", ""},
		{"metadata", "metadata", "metadata.example"},
	} {
		d := Destinations{DenyHosts: hosts(t, tc.deny), Allow: prefixes("127.0.0.0/8"), AllowHosts: hosts(t, tc.deny)}
		for _, host := range strings.Fields(tc.denied) {
			if err := d.CheckURL("https://" + host + "/"); err == nil || err.Error() != deniedHost {
				t.Errorf("%s denied, %s: got %v", tc.deny, host, err)
			}
		}
		for _, host := range strings.Fields(tc.open) {
			if err := d.CheckURL("https://" + host + "/"); err != nil {
				t.Errorf("%s denied, %s: got %v", tc.deny, host, err)
			}
		}
	}
}

// namedHosts are hosts that lead to loopback, what is allowed and denied, and the failure
// of a request to each.
var namedHosts = []struct {
	host, allowHost, deny, denyHost, want string
}{
	{"inside.example", "inside.example", "", "", ""},
	{"INSIDE.example.", "inside.EXAMPLE.", "", "", ""},
	{"a.inside.example", "*.inside.example", "", "", ""},
	{"a.b.inside.example", "*.inside.example", "", "", ""},
	{"a.inside.example", "inside.example", "", "", notPublic},
	{"inside.example", "*.inside.example", "", "", notPublic},
	{"inside.example", "other.example", "", "", notPublic},
	{"inside.example", "", "", "", notPublic},
	{"127.0.0.1", "inside.example", "", "", notPublic},
	{"inside.example", "inside.example", "127.0.0.0/8", "", denied},
	{"inside.example", "inside.example", "10.0.0.0/8", "", ""},
	{"a.inside.example", "*.inside.example", "", "a.inside.example", deniedHost},
	{"a.inside.example", "a.inside.example", "", "*.example", deniedHost},
	{"nowhere.example", "", "", "nowhere.example", deniedHost},
}

// Names are checked at each connection, too: a webhook may be older than the configuration.
func TestNamesThatAreAllowedAndDenied(t *testing.T) {
	port, called := countedEndpoint(t)
	loopback := []string{"127.0.0.1"}
	dnsZone(t, map[string][]string{"inside.example": loopback, "a.inside.example": loopback, "a.b.inside.example": loopback})
	for _, tc := range namedHosts {
		for _, proxied := range []bool{false, true} {
			called.Store(0)
			s := newSender(t, func(c *Config) {
				c.Destinations = Destinations{
					AllowHTTP: true, Deny: prefixes(strings.Fields(tc.deny)...),
					AllowHosts: hosts(t, strings.Fields(tc.allowHost)...), DenyHosts: hosts(t, strings.Fields(tc.denyHost)...),
				}
				if proxied {
					c.Destinations.Proxy = newConnectProxy(t, http.StatusOK, nil).url
				}
			})
			if proxied && tc.want == "" {
				continue // what a proxy does is tested elsewhere
			}
			want, calls := Response{Failure: tc.want}, int32(0)
			if tc.want == "" {
				want, calls = Response{StatusCode: 204}, 1
			}
			s.Send(t.Context(), message("http://"+tc.host+":"+port)).want(t, want)
			if got := called.Load(); got != calls {
				t.Errorf("%+v: the endpoint was called %d times", tc, got)
			}
		}
	}
}
