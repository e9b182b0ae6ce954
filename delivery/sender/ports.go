package sender

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// PortRange is the ports from First to Last, both included.
type PortRange struct{ First, Last uint16 }

// ParsePorts parses a port, or a range of ports such as 8000-8999.
func ParsePorts(value string) (PortRange, error) {
	from, to, isRange := strings.Cut(value, "-")
	if !isRange {
		to = from
	}
	first, ok := parsePort(from)
	last, ok2 := parsePort(to)
	if !ok || !ok2 || first > last {
		return PortRange{}, fmt.Errorf("'%s' is neither a port, 1 to 65535, nor a range of ports such as 8000-8999", value)
	}
	return PortRange{first, last}, nil
}

func parsePort(digits string) (port uint16, ok bool) {
	n, err := strconv.ParseUint(digits, 10, 16)
	return uint16(n), err == nil && n > 0
}

// checkPort returns a RefusedError unless requests may go to the port of a URL, or that of
// its scheme.
func (d *Destinations) checkPort(u *url.URL) error {
	if len(d.Ports) == 0 {
		return nil
	}
	host, digits := hostPort(u)
	port, ok := parsePort(digits)
	for _, r := range d.Ports {
		if ok && r.First <= port && port <= r.Last {
			return nil
		}
	}
	return &RefusedError{Rule: "port " + digits + " is not allowed by the configuration", Host: host}
}
