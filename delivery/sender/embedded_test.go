package sender

import (
	"net/netip"
	"strings"
	"testing"
)

// embeddedExamples are those of RFC 6052, section 2.4, for 192.0.2.33.
var embeddedExamples = []struct{ prefix, addr string }{
	{"2001:db8::/32", "2001:db8:c000:221::"},
	{"2001:db8:100::/40", "2001:db8:1c0:2:21::"},
	{"2001:db8:122::/48", "2001:db8:122:c000:2:2100::"},
	{"2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"},
	{"2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"},
	{"2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"},
}

func TestNAT64(t *testing.T) {
	for _, tc := range embeddedExamples {
		d := Destinations{NAT64: prefixes(tc.prefix)}
		addr, want := netip.MustParseAddr(tc.addr), netip.MustParseAddr("192.0.2.33")
		if inner, end := d.embedded(addr); inner != want || end != want {
			t.Errorf("%s in %s: got %s, %s", tc.addr, tc.prefix, inner, end)
		}
	}
	for _, tc := range []struct {
		addr, allow, deny string
		want              string
	}{
		{"2a00:64::8.8.8.8", "", "", ""},
		{"2a00:64::10.1.2.3", "", "", notPublic},
		{"2a00:64::10.1.2.3", "10.0.0.0/8", "", ""},
		{"2a00:64::10.1.2.3", "2a00:64::/96", "", notPublic},
		{"2a00:64::169.254.169.254", "", "", notPublic},
		{"2a00:64::8.8.8.8", "", "8.8.8.8/32", denied},
		{"2a00:64::8.8.8.8", "", "2a00:64::/64", denied},
		{"2a00:64::1:8.8.8.8", "", "", ""},
		{"64:ff9b:1:808:8:800::", "", "", ""}, // 8.8.8.8, of a prefix that is for this alone
		{"64:ff9b:1:a01:2:300::", "", "", notPublic},
	} {
		d := Destinations{
			NAT64: prefixes("2a00:64::/96", "64:ff9b:1::/48"),
			Allow: prefixes(strings.Fields(tc.allow)...), Deny: prefixes(strings.Fields(tc.deny)...),
		}
		addr := netip.MustParseAddr(tc.addr)
		switch err := d.checkAddr("", addr); {
		case tc.want != "":
			wantRefused(t, err, tc.want, addr)
		case err != nil:
			t.Errorf("%+v: got %v", tc, err)
		}
	}
}
