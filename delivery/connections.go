package delivery

import (
	"context"
	"maps"
	"net"
	"slices"
	"sync"
)

// connections are those of one httpSender. Once that is closed and none of its
// requests is in flight, they are closed, also those that nothing was sent over:
// a dial may outlive its request, and net/http keeps what comes of it.
type connections struct {
	mu       sync.Mutex
	inFlight int // requests
	closed   bool
	open     map[*connection]bool
}

type connection struct {
	net.Conn
	all *connections
}

// dialer makes a dialer's connections known.
func (c *connections) dialer(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		known := &connection{conn, c}
		c.change(func() { c.open[known] = true })
		return known, nil
	}
}

// begin and end mark the time for which a request is in flight.
func (c *connections) begin() { c.change(func() { c.inFlight++ }) }
func (c *connections) end()   { c.change(func() { c.inFlight-- }) }

func (c *connections) close() { c.change(func() { c.closed = true }) }

// change changes the state, and closes what nobody needs any more.
func (c *connections) change(change func()) {
	c.mu.Lock()
	change()
	var unused []*connection
	if c.closed && c.inFlight == 0 {
		unused = slices.Collect(maps.Keys(c.open))
	}
	c.mu.Unlock()
	for _, conn := range unused {
		_ = conn.Close() // nothing is in flight on it
	}
}

// Close closes the connection and forgets it.
func (c *connection) Close() error {
	c.all.mu.Lock()
	delete(c.all.open, c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}
