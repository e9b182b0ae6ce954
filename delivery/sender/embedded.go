package sender

import (
	"fmt"
	"net/netip"
)

// Prefixes of IPv6 whose addresses have an address of IPv4 in them.
var (
	wellKnownNAT64 = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
	sixToFour      = netip.MustParsePrefix("2002::/16")    // RFC 3056
	teredo         = netip.MustParsePrefix("2001::/32")    // RFC 4380
)

// embedded returns the address of IPv4 within an address of IPv6, and the address where
// packets end. Behind NAT64, that is the one of IPv4 alone. Tunnels are said to lead there
// too, so both count. If there is none, all are the address itself.
func (d *Destinations) embedded(addr netip.Addr) (inner, end netip.Addr) {
	if !addr.Is6() {
		return addr, addr
	}
	b := addr.As16()
	if wellKnownNAT64.Contains(addr) {
		inner = netip.AddrFrom4([4]byte(b[12:]))
		return inner, inner
	}
	for _, prefix := range d.NAT64 {
		if prefix.Contains(addr) {
			inner = translated(b, prefix.Bits())
			return inner, inner
		}
	}
	switch {
	case sixToFour.Contains(addr):
		return netip.AddrFrom4([4]byte(b[2:6])), addr
	case teredo.Contains(addr): // its bits are inverted
		return netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]}), addr
	case b[8]&^0x02 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe: // ISATAP, RFC 5214
		return netip.AddrFrom4([4]byte(b[12:])), addr
	}
	return addr, addr
}

// translated returns the address of IPv4 behind NAT64 of a prefix (RFC 6052, section
// 2.2). Byte 8 is passed over.
func translated(b [16]byte, bits int) netip.Addr {
	var v4 [4]byte
	at := bits / 8
	for i := range v4 {
		if at == 8 {
			at++
		}
		v4[i] = b[at]
		at++
	}
	return netip.AddrFrom4(v4)
}

// CheckNAT64 returns an error for a prefix that NAT64 cannot have (RFC 6052, section 2.2),
// or that it has anyway.
func CheckNAT64(p netip.Prefix) error {
	switch bits := p.Bits(); {
	case !p.Addr().Is6() || p.Addr().Is4In6():
		return fmt.Errorf("'%s' is not a range of IPv6", p)
	case bits != 32 && bits != 40 && bits != 48 && bits != 56 && bits != 64 && bits != 96:
		return fmt.Errorf("'%s' has %d bits, but a prefix of NAT64 has 32, 40, 48, 56, 64 or 96", p, bits)
	case p.Overlaps(wellKnownNAT64):
		return fmt.Errorf("'%s' overlaps %s, which needs no option", p, wellKnownNAT64)
	}
	return nil
}

// checkNAT64 checks prefixes, none of which may leave open which of them an address is in.
func checkNAT64(prefixes []netip.Prefix) error {
	for i, p := range prefixes {
		if err := CheckNAT64(p); err != nil {
			return fmt.Errorf("nat64: %w", err)
		}
		for _, other := range prefixes[:i] {
			if p.Overlaps(other) {
				return fmt.Errorf("nat64: '%s' overlaps '%s'", p, other)
			}
		}
	}
	return nil
}
