package sender

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"code.dny.dev/ssrf"
)

// MaxURLLength is how long a webhook's URL may be, in bytes.
const MaxURLLength = 2048

// Destinations says where requests may go.
type Destinations struct {
	// AllowHTTP lets http URLs through beside https.
	AllowHTTP bool
	// Ports are those that requests may go to, all if there are none.
	Ports []PortRange
	// Allow opens ranges that are closed by default: all but public addresses.
	Allow []netip.Prefix
	// AllowHosts are hosts that may be sent to whatever their addresses are.
	AllowHosts []HostPattern
	// Deny closes ranges, and DenyHosts hosts. Both beat Allow and AllowHosts.
	Deny      []netip.Prefix
	DenyHosts []HostPattern
	// Proxy, if there is one, makes the connections. Its own address is not
	// checked; the destinations' are.
	Proxy *url.URL
	// TrustedCAs replaces the system's roots, if not nil.
	TrustedCAs *x509.CertPool
}

// special knows the ranges that IANA's special-purpose registries set apart.
var special = ssrf.New(ssrf.WithAnyNetwork(), ssrf.WithAnyPort())

// nat64 is the well-known prefix of RFC 6052: an IPv4 address is in its last
// four bytes.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// askOperator ends what is said of a destination that the configuration refuses.
const askOperator = ": ask the operator of this server"

// RefusedError says that requests must not go somewhere, and by which rule. Its text is
// for whoever made the webhook. So it has no address: that may be one of a network which
// strangers know nothing of.
type RefusedError struct {
	Rule string
	// For the operator's log: the host of the URL, and its address that is refused.
	Host string
	Addr netip.Addr
}

func (e *RefusedError) Error() string { return e.Rule + askOperator }

// The rules that addresses are refused by.
const (
	deniedAddr  = "the host's address is denied by the configuration"
	privateAddr = "the host's address is not public, and not allowed by the configuration"
)

// checkAddr returns a RefusedError unless requests may go to an address of a host. An
// IPv4 address wrapped in IPv6 counts as the IPv4 address that the packets would reach.
func (d *Destinations) checkAddr(host string, addr netip.Addr) error {
	outer := addr.WithZone("").Unmap()
	plain := outer
	if nat64.Contains(plain) {
		b := plain.As16()
		plain = netip.AddrFrom4([4]byte(b[12:]))
	}
	if contains(d.Deny, plain) || contains(d.Deny, outer) {
		return &RefusedError{Rule: deniedAddr, Host: host, Addr: addr}
	}
	if contains(d.Allow, plain) || matchesAny(d.AllowHosts, host) || special.SafeAddr(plain) == nil {
		return nil
	}
	return &RefusedError{Rule: privateAddr, Host: host, Addr: addr}
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// CheckURL says, in a sentence for whoever typed it, what keeps a URL from being
// a webhook's destination. A name is not looked up: what it points to is checked
// at each connection.
func (d *Destinations) CheckURL(raw string) error {
	if len(raw) > MaxURLLength {
		return fmt.Errorf("the URL is longer than %d bytes", MaxURLLength)
	}
	if strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return errors.New("the URL contains a space or a control character")
	}
	u, err := parseURL(raw)
	switch {
	case errors.Is(err, errHostName):
		return err
	case err != nil:
		return errors.New("this is not a URL")
	case u.Scheme == "http" && !d.AllowHTTP:
		return errors.New("the URL must begin with https://")
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("the URL must be absolute and begin with https://")
	case u.Hostname() == "":
		return errors.New("the URL names no host")
	case u.User != nil:
		return errors.New("the URL must not contain a user name or password")
	case strings.Contains(raw, "#"):
		return errors.New("the URL must not have a fragment (#…)")
	}
	if port := u.Port(); port != "" {
		if _, ok := parsePort(port); !ok {
			return errors.New("the URL's port must be 1 to 65535")
		}
	}
	if err := d.checkPort(u); err != nil {
		return err
	}
	return d.checkHost(u.Hostname())
}
