package redis

import (
	"crypto/tls"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// retireAfter is longer than any command takes: after that, nobody uses a client that was
// replaced.
const retireAfter = dialTimeout + 2*ioTimeout

// connections has the clients in use, and those that they replaced, as long as these may
// still have commands in progress.
type connections struct {
	mu      sync.RWMutex
	options Options
	current *clients
	retired map[*clients]*time.Timer
}

// clients are a client for commands that Redis answers at once, and one for commands that
// block: these must not use up the connections of the others.
type clients struct{ prompt, waiting redis.UniversalClient }

func (c *clients) close() error { return errors.Join(c.prompt.Close(), c.waiting.Close()) }

func (c *connections) client() redis.UniversalClient {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.current.prompt
}

func (c *connections) waiting() redis.UniversalClient {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.current.waiting
}

// use replaces the clients, unless the new ones would be the same.
func (c *connections) use(o Options) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && sameConnections(&c.options, &o) {
		return
	}
	old := c.current
	c.options, c.current = o, &clients{prompt: o.client(0), waiting: o.client(maxWaiting)}
	if old == nil {
		return
	}
	if c.retired == nil {
		c.retired = make(map[*clients]*time.Timer)
	}
	c.retired[old] = time.AfterFunc(retireAfter, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.retired[old] != nil { // else close has closed it
			delete(c.retired, old)
			_ = old.close() // nobody uses it
		}
	})
}

// close closes the clients, and those that they replaced.
func (c *connections) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	errs := []error{c.current.close()}
	for old, timer := range c.retired {
		timer.Stop()
		errs = append(errs, old.close())
	}
	c.retired = nil
	return errors.Join(errs...)
}

func sameConnections(a, b *Options) bool {
	return slices.Equal(a.Addresses, b.Addresses) && a.SentinelMaster == b.SentinelMaster &&
		a.Username == b.Username && a.Password == b.Password &&
		a.SentinelUsername == b.SentinelUsername && a.SentinelPassword == b.SentinelPassword &&
		a.DB == b.DB && sameTLS(a.TLS, b.TLS)
}

// sameTLS compares what this module sets. It takes any other configuration for a new one.
func sameTLS(a, b *tls.Config) bool {
	return a == b || a != nil && b != nil && a.ServerName == b.ServerName && a.MinVersion == b.MinVersion &&
		a.RootCAs == b.RootCAs && len(a.Certificates) == 0 && len(b.Certificates) == 0
}
