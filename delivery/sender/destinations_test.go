package sender

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func prefixes(values ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, value := range values {
		out = append(out, netip.MustParsePrefix(value))
	}
	return out
}

// defaultAddrs are addresses, and whether requests may go to them by default.
var defaultAddrs = []struct {
	addr string
	open bool
}{
	{"1.1.1.1", true},
	{"8.8.8.8", true},
	{"100.63.255.255", true},
	{"100.128.0.0", true},
	{"172.15.255.255", true},
	{"172.32.0.0", true},
	{"223.255.255.255", true},
	{"2606:4700:4700::1111", true},
	{"2a00:1450:4001:80b::200e", true},

	{"0.0.0.0", false}, // unspecified
	{"0.1.2.3", false},
	{"127.0.0.1", false}, // loopback
	{"127.255.255.254", false},
	{"10.0.0.1", false}, // private
	{"172.16.0.1", false},
	{"172.31.255.255", false},
	{"192.168.0.1", false},
	{"100.64.0.1", false},      // shared
	{"169.254.169.254", false}, // link-local, and the clouds' metadata
	{"169.254.0.1", false},
	{"192.0.0.8", false}, // special purposes
	{"192.0.2.1", false},
	{"198.18.0.1", false},
	{"198.51.100.1", false},
	{"203.0.113.1", false},
	{"224.0.0.1", false}, // multicast
	{"239.255.255.255", false},
	{"240.0.0.1", false}, // reserved
	{"255.255.255.255", false},

	{"::", false},
	{"::1", false},
	{"fc00::1", false}, // unique local
	{"fd12:3456::1", false},
	{"fe80::1", false}, // link-local
	{"fe80::1%eth0", false},
	{"ff02::1", false},     // multicast
	{"2001:db8::1", false}, // documentation
	{"3fff::1", false},
	{"2001::1", false},        // Teredo
	{"2002:7f00:1::", false},  // 6to4 of 127.0.0.1
	{"2002:808:808::", false}, // 6to4 of 8.8.8.8
	{"100::1", false},         // discard only
	{"5f00::1", false},        // segment routing
	{"::127.0.0.1", false},    // IPv4-compatible, long deprecated

	{"::ffff:8.8.8.8", true}, // IPv4-mapped
	{"::ffff:127.0.0.1", false},
	{"::ffff:10.0.0.1", false},
	{"::ffff:169.254.169.254", false},
	{"64:ff9b::8.8.8.8", true}, // NAT64
	{"64:ff9b::127.0.0.1", false},
	{"64:ff9b::a00:1", false},
	{"64:ff9b::169.254.169.254", false},
	{"64:ff9b:1::8.8.8.8", false}, // NAT64 of a local prefix

	{"168.63.129.16", false}, // Azure
	{"168.63.129.17", true},
	{"::ffff:168.63.129.16", false},
	{"64:ff9b::168.63.129.16", false},
	{"169.254.170.2", false},   // AWS, containers
	{"169.254.0.23", false},    // Tencent
	{"169.254.42.42", false},   // Scaleway
	{"100.100.100.200", false}, // Alibaba
	{"192.0.0.192", false},     // Oracle
	{"fd00:ec2::254", false},   // AWS
	{"fd20:ce::254", false},    // Google
	{"fd00:42::42", false},     // Scaleway
	{"fe80::a9fe:a9fe", false}, // OpenStack

	{"2a00:1450::5efe:8.8.8.8", true}, // ISATAP
	{"2a00:1450::200:5efe:8.8.8.8", true},
	{"2a00:1450::5efe:10.0.0.1", false},
	{"2a00:1450::200:5efe:10.0.0.1", false},
	{"2a00:1450::5efe:127.0.0.1", false},
	{"2a00:1450::200:5efe:169.254.169.254", false},
	{"2a00:1450::5efe:168.63.129.16", false},
	{"2a00:1450::100:5efe:10.0.0.1", true}, // which is none
	{"fe80::5efe:8.8.8.8", false},
}

func TestCheckAddrByDefault(t *testing.T) {
	for _, tc := range defaultAddrs {
		t.Run(tc.addr, func(t *testing.T) {
			addr := netip.MustParseAddr(tc.addr)
			err := (&Destinations{}).checkAddr("", addr)
			if tc.open != (err == nil) {
				t.Errorf("got %v", err)
			}
			if err != nil {
				wantRefused(t, err, notPublic, addr)
			}
		})
	}
}

// What is said of destinations that are refused.
const (
	notPublic = "the host's address is not public, and not allowed by the configuration: ask the operator of this server"
	denied    = "the host's address is denied by the configuration: ask the operator of this server"
)

// wantRefused checks what an admin is told of an address, and the operator's log.
func wantRefused(t *testing.T, err error, sentence string, addr netip.Addr) {
	t.Helper()
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Error() != sentence || refused.Addr != addr {
		t.Errorf("got  %v (%+v)\nwant %s, for %s", err, refused, sentence, addr)
	}
}

// allowedAndDenied are addresses with ranges that are allowed and denied, and the error for each.
var allowedAndDenied = []struct {
	name  string
	allow string
	deny  string
	addr  string
	want  string
}{
	{"allowed", "127.0.0.0/8", "", "127.0.0.1", ""},
	{"allowed, IPv4-mapped", "127.0.0.0/8", "", "::ffff:127.0.0.1", ""},
	{"allowed, NAT64", "10.0.0.0/8", "", "64:ff9b::10.1.2.3", ""},
	{"allowed, with a zone", "fe80::/10", "", "fe80::1%eth0", ""},
	{"allowed, IPv6", "fd00::/8", "", "fd12::1", ""},
	{"another range allowed", "127.0.0.0/8", "", "10.0.0.1", notPublic},
	{"::/0 is not for IPv4", "::/0", "", "127.0.0.1", notPublic},
	{"allowed, ISATAP", "10.0.0.0/8", "", "2a00:1450::5efe:10.1.2.3", ""},
	{"allowed, with ISATAP in it", "2a00:1450::/32", "", "2a00:1450::5efe:10.1.2.3", ""},
	{"denied, ISATAP", "", "8.8.8.0/24", "2a00:1450::200:5efe:8.8.8.8", denied},
	{"allowed, 6to4", "2002::/16", "", "2002:808:808::", ""},
	{"denied, 6to4", "2002::/16", "8.8.8.0/24", "2002:808:808::", denied},
	{"denied, Teredo", "2001::/32", "8.8.8.0/24", "2001::f7f7:f7f7", denied},
	{"a cloud's, allowed", "168.63.129.16/32", "", "168.63.129.16", ""},
	{"a public one denied", "", "8.8.8.0/24", "8.8.8.8", denied},
	{"a public one beside the denied", "", "8.8.8.0/24", "8.8.4.4", ""},
	{"denied and allowed", "0.0.0.0/0", "127.0.0.1/32", "127.0.0.1", denied},
	{"allowed beside the denied", "127.0.0.0/8", "127.0.0.1/32", "127.0.0.2", ""},
	{"denied, IPv4-mapped", "127.0.0.0/8", "127.0.0.1/32", "::ffff:127.0.0.1", denied},
	{"denied, NAT64", "", "8.8.8.0/24", "64:ff9b::8.8.8.8", denied},
	{"all of NAT64 denied", "", "64:ff9b::/96", "64:ff9b::8.8.8.8", denied},
	{"denied, with a zone", "fe80::/10", "fe80::1/128", "fe80::1%eth0", denied},
}

func TestCheckAddrWithAllowAndDeny(t *testing.T) {
	for _, tc := range allowedAndDenied {
		t.Run(tc.name, func(t *testing.T) {
			var d Destinations
			if tc.allow != "" {
				d.Allow = prefixes(tc.allow)
			}
			if tc.deny != "" {
				d.Deny = prefixes(tc.deny)
			}
			addr := netip.MustParseAddr(tc.addr)
			switch err := d.checkAddr("", addr); {
			case tc.want != "":
				wantRefused(t, err, tc.want, addr)
			case err != nil:
				t.Errorf("got %v", err)
			}
		})
	}
}

// The errors for URLs.
const (
	notURL      = "this is not a URL"
	onlyHTTPS   = "the URL must begin with https://"
	notAbsolute = "the URL must be absolute and begin with https://"
	noHost      = "the URL names no host"
	hasControl  = "the URL contains a space or a control character"
	hasUserinfo = "the URL must not contain a user name or password"
	hasFragment = "the URL must not have a fragment (#…)"
	badHost     = "the URL's host is not a valid host name"
	badPort     = "the URL's port must be 1 to 65535"
)

// checkedURLs are URLs of webhooks, and the error for each.
var checkedURLs = []struct{ url, want string }{
	{"https://example.com", ""},
	{"https://example.com/", ""},
	{"https://example.com:8443/hooks?tenant=1&x=%20#", hasFragment},
	{"https://example.com:8443/hooks?tenant=1&x=%20", ""},
	{"HTTPS://EXAMPLE.COM/", ""},
	{"https://bücher.example/straße", ""},
	{"https://8.8.8.8/", ""},
	{"https://[2606:4700:4700::1111]/", ""},
	{"https://example.com./", ""},
	{"https://b%C3%BCcher.example/", ""},
	{"https://münchen。test/", ""},
	{"https://under_score.example/", ""},
	{"https://a--b.-c-.example/", ""},
	{"https://" + strings.Repeat("a", MaxURLLength-8), ""},

	{"https://" + strings.Repeat("a", MaxURLLength-7), "the URL is longer than 2048 bytes"},
	{"", notAbsolute},
	{"/hooks", notAbsolute},
	{"//example.com/", notAbsolute},
	{"example.com", notAbsolute},
	{"ftp://example.com/", notAbsolute},
	{"javascript:alert(1)", notAbsolute},
	{"http://example.com/", onlyHTTPS},
	{"https://", noHost},
	{"https:///path", noHost},
	{"https://:443/", noHost},
	{"https:example.com", noHost},
	{"https://%c3/", badHost},
	{"https://\u00ad/", badHost},    // a soft hyphen, which means nothing
	{"https://℀.example/", badHost}, // a/c
	{"https://xn--a-ecp.ru.bücher.example/", badHost},
	{"https://a\u3000b.example/", badHost},
	{"https://\u0301a.example/", badHost},
	{"https://<host>/", badHost},
	{"https://exa mple.com/", hasControl},
	{" https://example.com/", hasControl},
	{"https://example.com/\n", hasControl},
	{"https://example.com/\x00", hasControl},
	{"https://example.com/\x7f", hasControl},
	{"https://user@example.com/", hasUserinfo},
	{"https://user:secret@example.com/", hasUserinfo},
	{"https://@example.com/", hasUserinfo},
	{"https://example.com/#part", hasFragment},
	{"https://example.com/#", hasFragment},
	{"https://example.com/%zz", notURL},
	{"https://[::1/", notURL},
	{"https://%31%32%37.0.0.1/", notURL},
	{"https://example.com:x/", notURL},
	{"https://example.com:0/", badPort},
	{"https://example.com:65536/", badPort},
	{"https://example.com:/", ""},

	{"https://127.0.0.1/", notPublic},
	{"https://169.254.169.254/latest/meta-data", notPublic},
	{"https://[::1]:8443/", notPublic},
	{"https://[::ffff:10.0.0.1]/", notPublic},
	{"https://[64:ff9b::10.0.0.1]/", notPublic},
	{"https://[fe80::1%25eth0]/", notPublic},
	{"https://localhost/", notPublic},
	{"https://LOCALHOST:8443/", notPublic},
	{"https://hooks.localhost/", notPublic},
	{"https://localhost./", notPublic},
	{"https://notlocalhost/", ""},
	{"https://ＬＯＣＡＬhost/", notPublic},
	{"https://localhost。/", notPublic},
	{"https://１２７.0.0.1/", notPublic},
}

func TestCheckURL(t *testing.T) {
	for _, tc := range checkedURLs {
		t.Run(tc.url, func(t *testing.T) {
			got := ""
			if err := (&Destinations{}).CheckURL(tc.url); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}

func TestCheckURLWithMoreAllowed(t *testing.T) {
	for _, tc := range []struct {
		name string
		d    Destinations
		url  string
		open bool
	}{
		{"http", Destinations{AllowHTTP: true}, "http://example.com/", true},
		{"http and https", Destinations{AllowHTTP: true}, "https://example.com/", true},
		{"http and no more", Destinations{AllowHTTP: true}, "ftp://example.com/", false},
		{"http, not loopback", Destinations{AllowHTTP: true}, "http://127.0.0.1/", false},
		{"loopback", Destinations{Allow: prefixes("127.0.0.0/8")}, "https://127.0.0.1/", true},
		{"localhost by IPv4", Destinations{Allow: prefixes("127.0.0.0/8")}, "https://localhost/", true},
		{"localhost by IPv6", Destinations{Allow: prefixes("::1/128")}, "https://localhost/", true},
		{"denied", Destinations{Deny: prefixes("8.8.8.0/24")}, "https://8.8.8.8/", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.d.CheckURL(tc.url); tc.open != (err == nil) {
				t.Errorf("got %v", err)
			}
		})
	}
}
