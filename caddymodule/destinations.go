package caddymodule

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// Destinations says where requests can go. Addresses are checked for each
// connection, after DNS.
type Destinations struct {
	// Whether webhooks can have http URLs, too. Default: false, only https.
	AllowHTTP bool `json:"allow_http,omitempty"`

	// The ports that requests can go to: numbers, or ranges such as `8000-8999`. Any
	// other is refused, also the one that an http or https URL without a port means. Set
	// it to `443` unless webhooks need more: otherwise whoever makes webhooks can have this
	// server talk to the mail servers and databases of others. Default: all.
	Ports []string `json:"ports,omitempty"`

	// Ranges of addresses (CIDR) that are allowed beside the public ones, such as
	// `10.0.0.0/8`. Default: none.
	Allow []string `json:"allow,omitempty"`

	// Hosts that requests can go to although their addresses are not public: names such as
	// `hooks.internal`, or `*.example.com` for all names below, at any depth. Whoever
	// decides what such a name leads to decides where requests can go. Default: none.
	AllowHost []string `json:"allow_host,omitempty"`

	// Ranges of addresses (CIDR) and hosts, as in `allow_host`, that are forbidden, even if
	// `allow` or `allow_host` has them. A host may have other names as well: close a
	// network by its addresses. Default: none.
	Deny []string `json:"deny,omitempty"`

	// Prefixes of IPv6 in which this network's NAT64 reaches addresses of IPv4 (RFC 6052),
	// beside `64:ff9b::/96`, of 32, 40, 48, 56, 64 or 96 bits. Addresses in them are then
	// checked as the addresses of IPv4 that they lead to. Default: none.
	NAT64 []string `json:"nat64,omitempty"`

	// The URL (http, https or socks5) of a proxy that makes the connections. The
	// addresses of destinations are checked, its own is not. Default: none.
	Proxy string `json:"proxy,omitempty"`

	// PEM files with the certificates of the authorities to trust, in place of the
	// system's. Default: the system's.
	TrustedCA []string `json:"trusted_ca,omitempty"`
}

// resolve replaces placeholders, checks the values and reads the files.
func (d *Destinations) resolve(repl *caddy.Replacer) (sender.Destinations, error) {
	var out sender.Destinations
	if d == nil {
		return out, nil
	}
	out.AllowHTTP = d.AllowHTTP
	var err error
	if out.Ports, err = resolveEach(repl, d.Ports, "port", sender.ParsePorts); err != nil {
		return out, fmt.Errorf("ports: %w", err)
	}
	if out.Allow, err = resolveEach(repl, d.Allow, "range", parseAllowed); err != nil {
		return out, fmt.Errorf("allow: %w", err)
	}
	if out.AllowHosts, err = resolveEach(repl, d.AllowHost, "host", parseAllowedHost); err != nil {
		return out, fmt.Errorf("allow_host: %w", err)
	}
	denied, err := resolveEach(repl, d.Deny, "range", parseDenied)
	if err != nil {
		return out, fmt.Errorf("deny: %w", err)
	}
	for _, one := range denied {
		if one.isHost {
			out.DenyHosts = append(out.DenyHosts, one.host)
		} else {
			out.Deny = append(out.Deny, one.prefix)
		}
	}
	if out.NAT64, err = resolveEach(repl, d.NAT64, "prefix", parseNAT64); err != nil {
		return out, fmt.Errorf("nat64: %w", err)
	}
	if d.Proxy != "" {
		raw, err := resolve(repl, d.Proxy)
		if err != nil {
			return out, fmt.Errorf("proxy %w", err)
		}
		if out.Proxy, err = sender.ParseProxy(raw); err != nil {
			return out, err
		}
	}
	if len(d.TrustedCA) > 0 {
		files, err := resolveAll(repl, d.TrustedCA)
		if err != nil {
			return out, fmt.Errorf("trusted_ca %w", err)
		}
		if out.TrustedCAs, err = readCertificates(files); err != nil {
			return out, fmt.Errorf("trusted_ca: %w", err)
		}
	}
	return out, nil
}

// resolveEach replaces placeholders in the values of an option, and parses each.
func resolveEach[T any](repl *caddy.Replacer, values []string, what string, parse func(string) (T, error)) ([]T, error) {
	values, err := resolveAll(repl, values)
	if err != nil {
		return nil, fmt.Errorf("a %s %w", what, err)
	}
	var all []T
	for _, value := range values {
		parsed, err := parse(value)
		if err != nil {
			return nil, err
		}
		all = append(all, parsed)
	}
	return all, nil
}

// parsePrefix parses a range, or a single address as the range of itself.
func parsePrefix(value string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(value)
	if err != nil {
		addr, err := netip.ParseAddr(value)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("'%s' is not a range of addresses such as 10.0.0.0/8", value)
		}
		prefix = netip.PrefixFrom(addr, addr.BitLen())
	}
	if prefix.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("'%s' is an IPv4 range inside IPv6: write it as an IPv4 range", value)
	}
	return prefix.Masked(), nil
}

// parseAllowed parses a range for allow.
func parseAllowed(value string) (netip.Prefix, error) {
	prefix, err := parsePrefix(value)
	if err == nil {
		return prefix, nil
	}
	if _, notName := sender.ParseHostPattern(value); notName == nil {
		return prefix, fmt.Errorf("'%s' is a host name, not a range of addresses: use allow_host", value)
	}
	return prefix, err
}

// parseAllowedHost parses a name for allow_host.
func parseAllowedHost(value string) (sender.HostPattern, error) {
	host, err := sender.ParseHostPattern(value)
	if _, notRange := parsePrefix(value); err != nil && notRange == nil {
		return host, fmt.Errorf("'%s' is a range of addresses, not a host name: use allow", value)
	}
	return host, err
}

// parseNAT64 parses a prefix for nat64.
func parseNAT64(value string) (netip.Prefix, error) {
	prefix, err := parsePrefix(value)
	if err != nil {
		return prefix, err
	}
	return prefix, sender.CheckNAT64(prefix)
}

// denied is a range of addresses, or a host.
type denied struct {
	prefix netip.Prefix
	host   sender.HostPattern
	isHost bool
}

// parseDenied parses either for deny.
func parseDenied(value string) (denied, error) {
	if host, err := sender.ParseHostPattern(value); err == nil {
		return denied{host: host, isHost: true}, nil
	}
	prefix, err := parsePrefix(value)
	if err != nil && !strings.ContainsAny(value, ":/") {
		err = fmt.Errorf("'%s' is neither a range of addresses such as 10.0.0.0/8 nor a host name such as *.example.com", value)
	}
	return denied{prefix: prefix}, err
}

func readCertificates(files []string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	for _, file := range files {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("there is no certificate (PEM) in %s", file)
		}
	}
	return pool, nil
}
