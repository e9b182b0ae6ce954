package sender

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
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
	// NAT64 are prefixes of IPv6, beside the well-known one, in which this network reaches
	// addresses of IPv4.
	NAT64 []netip.Prefix
	// Proxy, if there is one, makes the connections. Its own address is not
	// checked; the destinations' are.
	Proxy *url.URL
	// TrustedCAs replaces the system's roots, if not nil.
	TrustedCAs *x509.CertPool
}

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
	ownAddr     = "the host's address is this server's own, and not allowed by the configuration"
)

// checkAddr returns a RefusedError unless requests may go to an address of a host.
func (d *Destinations) checkAddr(host string, addr netip.Addr) error {
	outer := addr.WithZone("").Unmap()
	inner, end := d.embedded(outer)
	switch {
	case contains(d.Deny, outer) || contains(d.Deny, inner):
		return &RefusedError{Rule: deniedAddr, Host: host, Addr: addr}
	case contains(d.Allow, end) || matchesAny(d.AllowHosts, host):
		return nil
	case !isPublic(end) || !isPublic(inner) && !contains(d.Allow, inner):
		return &RefusedError{Rule: privateAddr, Host: host, Addr: addr}
	case thisServer.has(end) || thisServer.has(inner) && !contains(d.Allow, inner):
		return &RefusedError{Rule: ownAddr, Host: host, Addr: addr}
	}
	return nil
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
