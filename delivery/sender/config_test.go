package sender

import (
	"crypto/x509"
	"net/netip"
	"net/url"
	"testing"
)

func TestConfigEqual(t *testing.T) {
	ca := newAuthority(t)
	full := func() Config {
		return Config{Concurrency: 512, Destinations: Destinations{
			Ports:      []PortRange{{443, 443}},
			Allow:      []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
			AllowHosts: []HostPattern{{name: "inside.example"}},
			NAT64:      []netip.Prefix{netip.MustParsePrefix("2001:db8:64::/96")},
			DenyHosts:  []HostPattern{{name: "denied.example"}},
			Deny:       []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")},
			Proxy:      &url.URL{Scheme: "http", Host: "proxy.example", User: url.UserPassword("a", "b")},
			TrustedCAs: ca.pool(),
		}}
	}
	for _, tc := range []struct {
		name   string
		change func(*Config)
		want   bool
	}{
		{"read twice", func(*Config) {}, true},
		{"concurrency", func(c *Config) { c.Concurrency++ }, false},
		{"allow_http", func(c *Config) { c.Destinations.AllowHTTP = true }, false},
		{"ports", func(c *Config) { c.Destinations.Ports[0].Last++ }, false},
		{"no ports", func(c *Config) { c.Destinations.Ports = nil }, false},
		{"allow", func(c *Config) { c.Destinations.Allow[0] = netip.MustParsePrefix("10.0.0.0/9") }, false},
		{"no allow", func(c *Config) { c.Destinations.Allow = nil }, false},
		{"deny", func(c *Config) { c.Destinations.Deny = append(c.Destinations.Deny, c.Destinations.Allow...) }, false},
		{"allow_host", func(c *Config) { c.Destinations.AllowHosts[0].below = true }, false},
		{"no allow_host", func(c *Config) { c.Destinations.AllowHosts = nil }, false},
		{"deny, a name", func(c *Config) { c.Destinations.DenyHosts[0].name = "other.example" }, false},
		{"no nat64", func(c *Config) { c.Destinations.NAT64 = nil }, false},
		{"proxy", func(c *Config) { c.Destinations.Proxy.Host = "other.example" }, false},
		{"the proxy's password", func(c *Config) { c.Destinations.Proxy.User = url.UserPassword("a", "c") }, false},
		{"no proxy", func(c *Config) { c.Destinations.Proxy = nil }, false},
		{"trusted_ca", func(c *Config) { c.Destinations.TrustedCAs = newAuthority(t).pool() }, false},
		{"an empty trusted_ca", func(c *Config) { c.Destinations.TrustedCAs = x509.NewCertPool() }, false},
		{"no trusted_ca", func(c *Config) { c.Destinations.TrustedCAs = nil }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, b := full(), full()
			tc.change(&b)
			if got := a.Equal(&b); got != tc.want {
				t.Errorf("got %t", got)
			}
			if got := b.Equal(&a); got != tc.want {
				t.Errorf("the other way round, got %t", got)
			}
		})
	}
}

func TestConfigValidate(t *testing.T) {
	for proxy, want := range map[string]string{
		"http://proxy.example": "", "https://proxy.example": "", "socks5://proxy.example": "", "socks5h://proxy.example": "",
		"ftp://a:hush@proxy.example": "destinations: proxy must be an http, https or socks5 URL",
	} {
		u, err := url.Parse(proxy)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := (&Config{Destinations: Destinations{Proxy: u}}).Validate(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %q, not %q", proxy, got, want)
		}
	}
	if err := new(Config).Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
}
