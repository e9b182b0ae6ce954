package sender

import (
	"net/netip"

	"code.dny.dev/ssrf"
)

// special knows the ranges that IANA's special-purpose registries set apart.
var special = ssrf.New(ssrf.WithAnyNetwork(), ssrf.WithAnyPort())

// cloudServices are addresses by which clouds tell a machine its secrets and its
// configuration, among those that look public. The others, such as 169.254.169.254,
// fd00:ec2::254, 100.100.100.200 or 192.0.0.192, are in ranges that are set apart.
var cloudServices = []netip.Prefix{
	netip.MustParsePrefix("168.63.129.16/32"), // Azure
}

// isPublic says whether an address is one of the internet.
func isPublic(addr netip.Addr) bool {
	return special.SafeAddr(addr) == nil && !contains(cloudServices, addr)
}
