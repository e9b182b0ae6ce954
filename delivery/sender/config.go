package sender

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
)

// Config is all that a Sender reads of a configuration. What is not in it can
// change without a new Sender, and so without new connections; what differs from
// request to request is in Message.
type Config struct {
	Destinations Destinations
	// Concurrency is how many requests will be in flight. It limits nothing: how
	// many idle connections and TLS sessions are kept follows from it.
	Concurrency int
}

// Validate returns an error that says what in the configuration makes no sense,
// naming the option as Caddy's configuration spells it.
func (c *Config) Validate() error {
	err := checkNAT64(c.Destinations.NAT64)
	if err == nil && c.Destinations.Proxy != nil {
		err = checkProxy(c.Destinations.Proxy)
	}
	if err != nil {
		return fmt.Errorf("destinations: %w", err)
	}
	return nil
}

// Equal reports whether a Sender of this configuration, with its connections, can
// stand in for one of the other.
func (c *Config) Equal(other *Config) bool {
	return c.Concurrency == other.Concurrency && c.Destinations.equal(&other.Destinations)
}

// ParseProxy parses the URL of a proxy. Its errors do not quote it: it may have a
// password.
func ParseProxy(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("proxy is not a URL such as http://proxy.internal:3128")
	}
	return u, checkProxy(u)
}

func checkProxy(u *url.URL) error {
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return nil
	default:
		return errors.New("proxy must be an http, https or socks5 URL")
	}
}

func (d *Destinations) equal(other *Destinations) bool {
	return d.AllowHTTP == other.AllowHTTP && slices.Equal(d.Ports, other.Ports) &&
		slices.Equal(d.Allow, other.Allow) && slices.Equal(d.AllowHosts, other.AllowHosts) &&
		slices.Equal(d.Deny, other.Deny) && slices.Equal(d.DenyHosts, other.DenyHosts) &&
		slices.Equal(d.NAT64, other.NAT64) && equalURLs(d.Proxy, other.Proxy) &&
		(d.TrustedCAs == other.TrustedCAs ||
			d.TrustedCAs != nil && other.TrustedCAs != nil && d.TrustedCAs.Equal(other.TrustedCAs))
}

func equalURLs(a, b *url.URL) bool {
	return a == b || a != nil && b != nil && a.String() == b.String()
}
