package sender

import (
	"errors"
	"net/url"
	"strings"

	"golang.org/x/net/idna"
)

// errHostName says that a URL's host can be neither a name in DNS nor an address.
var errHostName = errors.New("the URL's host is not a valid host name")

// hostNames maps names as browsers do (UTS 46, not transitional). Like DNS, it allows
// what the rules for host names do not: underscores, and hyphens anywhere.
var hostNames = idna.New(
	idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false),
	idna.StrictDomainName(false), idna.CheckHyphens(false),
)

// parseURL parses a webhook's URL and spells it as it goes over the wire; nothing
// beyond looks at what the admin typed. The host becomes the one name for the address
// check, DNS, TLS, the Host header and the pool. In path and query, bytes that no URL
// may have are percent-encoded, and all others stay as they are.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	if u.Host, err = asciiHost(u.Host); err != nil {
		return nil, err
	}
	// Without a RawPath, the path was typed as net/url encodes it.
	u.RawPath = escapeInvalid(u.RawPath)
	u.RawQuery = escapeInvalid(u.RawQuery)
	return u, nil
}

// asciiHost puts the host of a URL, which may have a port, into lower-case ASCII. It
// leaves IPv6 addresses as they are.
func asciiHost(host string) (string, error) {
	if strings.HasPrefix(host, "[") {
		return host, nil
	}
	name, port := host, ""
	if colon := strings.LastIndexByte(host, ':'); colon >= 0 {
		name, port = host[:colon], host[colon:]
	}
	name, err := asciiName(name)
	switch {
	case err != nil:
		return "", err
	case name == host[:len(host)-len(port)]:
		return host, nil
	}
	return name + port, nil
}

// asciiName puts a host without a port, which is not an IPv6 address, into lower-case
// ASCII.
func asciiName(name string) (string, error) {
	if isASCII(name) {
		name = strings.ToLower(name)
	} else if mapped, err := hostNames.ToASCII(name); err == nil && strings.Trim(mapped, ".") != "" {
		name = mapped
	} else {
		return "", errHostName
	}
	for i := range len(name) {
		if !isHostNameByte(name[i]) {
			return "", errHostName
		}
	}
	return name, nil
}

// isHostNameByte says which bytes Go's resolver takes in a name, in lower case.
func isHostNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.'
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// escapeInvalid percent-encodes the bytes of a path or query that neither may have
// (RFC 3986, section 3.3). Brackets should not be there, either, but often are.
func escapeInvalid(s string) string {
	invalid := 0
	for i := range len(s) {
		if !isURLByte[s[i]] {
			invalid++
		}
	}
	if invalid == 0 {
		return s
	}
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+2*invalid)
	for i := range len(s) {
		if c := s[i]; isURLByte[c] {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

var isURLByte = func() (is [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/?%[]") {
		is[c] = true
	}
	return is
}()
