package redis

import (
	"crypto/tls"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// retireAfter is longer than any command takes: by then nobody uses a client that
// was replaced.
const retireAfter = dialTimeout + 2*ioTimeout

// connections holds the client in use, and those it replaced while commands of
// theirs may be under way.
type connections struct {
	mu      sync.RWMutex
	options Options
	current redis.UniversalClient
	retired map[redis.UniversalClient]*time.Timer
}

func (c *connections) client() redis.UniversalClient {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.current
}

// use replaces the client unless it would be the same.
func (c *connections) use(o Options) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && sameConnections(&c.options, &o) {
		return
	}
	old := c.current
	c.options, c.current = o, o.client()
	if old == nil {
		return
	}
	if c.retired == nil {
		c.retired = make(map[redis.UniversalClient]*time.Timer)
	}
	c.retired[old] = time.AfterFunc(retireAfter, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.retired[old] != nil { // close has not come first
			delete(c.retired, old)
			_ = old.Close() // nothing of it is in use
		}
	})
}

// close closes the client, and those that it replaced.
func (c *connections) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	errs := []error{c.current.Close()}
	for old, timer := range c.retired {
		timer.Stop()
		errs = append(errs, old.Close())
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

// sameTLS compares what this module sets; a configuration of another kind is
// taken for a new one.
func sameTLS(a, b *tls.Config) bool {
	return a == b || a != nil && b != nil && a.ServerName == b.ServerName && a.MinVersion == b.MinVersion &&
		a.RootCAs == b.RootCAs && len(a.Certificates) == 0 && len(b.Certificates) == 0
}
