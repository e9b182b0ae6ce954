package sender

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// HostPattern is the name of a host or, with below, of all hosts below it, however many
// labels they have more.
type HostPattern struct {
	name  string
	below bool
}

// ParseHostPattern parses a name, or *. and a name.
func ParseHostPattern(value string) (HostPattern, error) {
	name, below := strings.CutPrefix(value, "*.")
	name, err := asciiName(name)
	name = strings.TrimSuffix(name, ".")
	switch {
	case err != nil || !isDomainName(name):
		return HostPattern{}, fmt.Errorf("'%s' is not a host name such as hooks.internal or *.example.com", value)
	case endsInNumber(name):
		return HostPattern{}, fmt.Errorf("'%s' is an address, not a host name", value)
	}
	return HostPattern{name, below}, nil
}

// isDomainName says whether a name has labels of 1 to 63 bytes, and 253 bytes at most.
func isDomainName(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	return len(name) <= 253
}

// endsInNumber says that a host cannot be a name in DNS: no top-level domain is a number,
// and some resolvers take such a host for an address.
func endsInNumber(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	return strings.Trim(last, "0123456789") == ""
}

// matches says whether a host, as parseURL returns it, is meant.
func (p HostPattern) matches(host string) bool {
	host = strings.TrimSuffix(host, ".")
	if !p.below {
		return host == p.name
	}
	above, ok := strings.CutSuffix(host, p.name)
	return ok && len(above) > 1 && above[len(above)-1] == '.'
}

func matchesAny(patterns []HostPattern, host string) bool {
	return slices.ContainsFunc(patterns, func(p HostPattern) bool { return p.matches(host) })
}

// checkName returns a RefusedError if the name of a host is denied.
func (d *Destinations) checkName(host string) error {
	if matchesAny(d.DenyHosts, host) {
		return &RefusedError{Rule: "the host is denied by the configuration", Host: host}
	}
	return nil
}

// checkHost checks a host, as parseURL returns it, and its address if it is one or can only
// mean one.
func (d *Destinations) checkHost(host string) error {
	if addr, err := netip.ParseAddr(host); err == nil {
		return d.checkAddr(host, addr)
	}
	if err := d.checkName(host); err != nil {
		return err
	}
	name := strings.TrimSuffix(host, ".")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		v4, v6 := netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()
		if err := d.checkAddr(host, v4); err != nil && d.checkAddr(host, v6) != nil {
			return err
		}
	}
	return nil
}
