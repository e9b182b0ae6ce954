package sender

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"net/url"
	"time"
)

const (
	// maxAddresses is how many addresses of one name are tried, and fallbackDelay how
	// long the first ones may take before the next is tried beside them, which is as
	// long as net.Dialer waits between IPv6 and IPv4.
	maxAddresses  = 8
	fallbackDelay = 300 * time.Millisecond
)

// slowLookupError says that a name was not looked up in time.
type slowLookupError struct {
	after time.Duration
	err   error
}

func (e *slowLookupError) Error() string { return e.err.Error() }
func (e *slowLookupError) Unwrap() error { return e.err }

// lookUp returns the addresses of a host, which may be one itself.
func lookUp(ctx context.Context, host string, timeout time.Duration) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr.Unmap()}, nil
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(limited, "ip", host)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return nil, &slowLookupError{timeout, err}
	}
	for i, addr := range addrs {
		addrs[i] = addr.Unmap()
	}
	return addrs, err
}

// resolve looks up the addresses of a URL's host that requests may go to. It also returns
// why there are no others: the error of the first one that is refused, or that of the URL
// or the lookup.
func (s *Sender) resolve(ctx context.Context, u *url.URL) (allowed []netip.Addr, refused error) {
	if err := s.destinations.checkPort(u); err != nil {
		return nil, err
	}
	host := u.Hostname()
	if err := s.destinations.checkName(host); err != nil {
		return nil, err
	}
	addrs, err := lookUp(ctx, host, s.dnsTimeout)
	if err != nil {
		return nil, err
	}
	for _, addr := range addrs {
		if err := s.destinations.checkAddr(host, addr); err != nil {
			refused = cmp.Or(refused, err)
		} else {
			allowed = append(allowed, addr)
		}
	}
	return allowed, refused
}

// alternate orders addresses so that those of IPv4 and IPv6 take turns, the family of
// the first one first (RFC 8305, section 4).
func alternate(addrs []netip.Addr) []netip.Addr {
	var families [2][]netip.Addr
	for _, addr := range addrs {
		family := 0
		if addr.Is4() != addrs[0].Is4() {
			family = 1
		}
		families[family] = append(families[family], addr)
	}
	ordered := addrs[:0:0]
	for i := range addrs {
		for _, family := range families {
			if i < len(family) {
				ordered = append(ordered, family[i])
			}
		}
	}
	return ordered
}

// share is how long one of several addresses may be waited for alone, so that there is
// time for each until the deadline.
func share(deadline time.Time, addresses int) time.Duration {
	return time.Until(deadline) / time.Duration(addresses)
}

// dialAny dials addresses until one takes the connection. It goes on to the next one
// when one fails, or has been waited for long enough: then both may still do. The
// error is that of the first to fail, unless the time is up.
func dialAny[C any](ctx context.Context, addrs []netip.Addr, delay time.Duration,
	dial func(context.Context, netip.Addr) (C, error), discard func(C),
) (conn C, err error) {
	if len(addrs) == 1 {
		return dial(ctx, addrs[0])
	}
	type result struct {
		conn C
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	results := make(chan result)
	timer := time.NewTimer(delay)
	defer timer.Stop()
	dialling := 0
	next := func() {
		addr := addrs[0]
		addrs = addrs[1:]
		dialling++
		timer.Reset(delay)
		go func() {
			conn, err := dial(ctx, addr)
			results <- result{conn, err}
		}()
	}
	defer func() { // those that are too late
		cancel()
		for range dialling {
			if late := <-results; late.err == nil {
				discard(late.conn)
			}
		}
	}()
	for next(); dialling > 0; {
		select {
		case r := <-results:
			dialling--
			if r.err == nil {
				return r.conn, nil
			}
			if err == nil || timedOut(r.err) {
				err = r.err
			}
			if len(addrs) > 0 {
				next()
			}
		case <-timer.C:
			if len(addrs) > 0 {
				next()
			}
		}
	}
	return conn, err
}
