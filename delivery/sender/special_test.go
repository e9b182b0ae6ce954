package sender

import (
	"net/netip"
	"slices"
	"testing"
)

// setApart are the ranges of IANA's registries of special-purpose addresses for IPv4 and IPv6,
// and those for multicast, all of which are closed.
var setApart = prefixes(
	"0.0.0.0/8", "0.0.0.0/32", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.0.0/29", "192.0.0.8/32", "192.0.0.9/32", "192.0.0.10/32", "192.0.0.170/32", "192.0.0.171/32",
	"192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.88.99.2/32", "192.168.0.0/16", "192.175.48.0/24",
	"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32",

	"::/128", "::1/128", "::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64",
	"2001::/23", "2001::/32", "2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:2::/48", "2001:3::/32", "2001:4:112::/48",
	"2001:10::/28", "2001:20::/28", "2001:30::/28", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", "5f00::/16",
	"fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)

// mayBeOpen is what isPublic and embedded say together, said in another way.
func mayBeOpen(addr netip.Addr) bool {
	addr = addr.Unmap()
	b := addr.AsSlice()
	inner, _ := netip.AddrFromSlice(b[len(b)-4:])
	switch {
	case slices.ContainsFunc(setApart, func(p netip.Prefix) bool { return p.Contains(addr) }):
		return false
	case addr.Is4():
		return addr != netip.MustParseAddr("168.63.129.16")
	case netip.MustParsePrefix("64:ff9b::/96").Contains(addr):
		return mayBeOpen(inner)
	case b[0]&0xe0 != 0x20: // nothing else is for the internet
		return false
	case b[8]|2 == 2 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe:
		return mayBeOpen(inner)
	}
	return true
}

func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}

// carriers are the addresses of IPv6 that carry one of IPv4 to where it leads.
func carriers(v4 netip.Addr) (all []netip.Addr) {
	for _, start := range []string{"::ffff:0:0", "64:ff9b::", "2a00:1450::5efe:0:0", "2a00:1450::200:5efe:0:0"} {
		b, v := netip.MustParseAddr(start).As16(), v4.As4()
		copy(b[12:], v[:])
		all = append(all, netip.AddrFrom16(b))
	}
	return all
}

// TestRangesThatAreSetApart tries the ends of each range, and what is beside it.
func TestRangesThatAreSetApart(t *testing.T) {
	check := func(addr netip.Addr, want bool) {
		t.Helper()
		if err := new(Destinations).checkAddr("", addr); (err == nil) != want {
			t.Errorf("%s: %v", addr, err)
		}
	}
	for _, p := range setApart {
		for _, addr := range []netip.Addr{p.Addr(), last(p)} {
			check(addr, false)
			if addr.Is4() {
				for _, carrier := range carriers(addr) {
					check(carrier, false)
				}
			}
		}
		for _, addr := range []netip.Addr{p.Addr().Prev(), last(p).Next()} {
			if !addr.IsValid() {
				continue // the range is at the end
			}
			check(addr, mayBeOpen(addr))
			if addr.Is4() {
				for _, carrier := range carriers(addr) {
					check(carrier, mayBeOpen(addr))
				}
			}
		}
	}
}

// FuzzCheckAddr compares what is open with mayBeOpen.
func FuzzCheckAddr(f *testing.F) {
	for _, p := range setApart {
		f.Add(p.Addr().AsSlice())
		f.Add(last(p).AsSlice())
	}
	for _, v4 := range []string{"8.8.8.8", "10.0.0.1", "168.63.129.16"} {
		for _, carrier := range carriers(netip.MustParseAddr(v4)) {
			f.Add(carrier.AsSlice())
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		addr, ok := netip.AddrFromSlice(raw)
		if !ok || thisServer.has(addr.Unmap()) {
			return
		}
		if err := new(Destinations).checkAddr("", addr); (err == nil) != mayBeOpen(addr) {
			t.Errorf("%s: %v", addr, err)
		}
	})
}
