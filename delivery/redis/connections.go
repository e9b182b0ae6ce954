package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// retireAfter is longer than any command takes: after that, nobody uses a client that
	// was replaced.
	retireAfter = dialTimeout + 2*waitingTimeout
	// renewEvery limits how often clients are replaced because of errors. New ones may need
	// two calls to find the master, if a Sentinel hangs together with it.
	renewEvery = dialTimeout + ioTimeout
)

// connections has the clients in use, and those that they replaced, as long as these may
// still have commands in progress.
type connections struct {
	mu      sync.RWMutex
	options Options
	current *clients
	retired map[*clients]*time.Timer
	renewed time.Time // when errors had the clients replaced last
	closed  bool
}

// clients are a client for commands that Redis answers at once, and one for commands that
// block: these must not use up the connections of the others.
type clients struct {
	prompt, waiting redis.UniversalClient
	topology        *topology // of a Cluster, or nil
	replication     replication
}

func (c *clients) close() error {
	if c.topology != nil {
		c.topology.close()
	}
	err := c.waiting.Close()
	if errors.Is(err, redis.ErrClosed) { // renew has closed it
		err = nil
	}
	return errors.Join(c.prompt.Close(), err)
}

// nodeOf is the client of the server that has a partition. In a Cluster, that is the client of
// one node, which neither redirects nor repeats anything.
func nodeOf(ctx context.Context, client redis.UniversalClient, base string) (redis.UniversalClient, error) {
	if cluster, ok := client.(*redis.ClusterClient); ok {
		return cluster.MasterForKey(ctx, base)
	}
	return client, nil
}

// get returns the clients in use.
func (c *connections) get() *clients {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.current
}

// use replaces the clients, unless the new ones would be the same.
func (c *connections) use(o Options) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && sameConnections(&c.options, &o) {
		return
	}
	c.options = o
	c.replace()
}

// suspect looks at an error for signs that another server has taken over. In a Cluster, it
// has the topology read again. Otherwise it replaces the clients: the new ones look the
// server's name up again, or ask the Sentinels, and have no connections to the old server.
func (c *connections) suspect(err error) {
	if !mayHaveMoved(err) {
		return
	}
	if t := c.get().topology; t != nil {
		t.watch()
	} else if isStuck(err) {
		c.renew()
	}
}

// renew replaces the clients. Followers do not wait for the old server to end a command that
// blocks.
func (c *connections) renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); !c.closed && now.Sub(c.renewed) >= renewEvery {
		c.renewed = now
		old := c.current
		c.replace()
		_ = old.waiting.Close() // what it runs may be repeated
	}
}

// replace makes new clients and retires the old ones. The caller holds the lock.
func (c *connections) replace() {
	old := c.current
	c.current = c.options.clients()
	if old == nil {
		return
	}
	if c.retired == nil {
		c.retired = make(map[*clients]*time.Timer)
	}
	c.retired[old] = time.AfterFunc(retireAfter, func() {
		c.mu.Lock()
		_, ok := c.retired[old] // else close has closed it
		delete(c.retired, old)
		c.mu.Unlock()
		if ok {
			_ = old.close() // nobody uses it
		}
	})
}

// close closes the clients, and those that they replaced.
func (c *connections) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
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
		a.DB == b.DB && sameTLS(a.TLS, b.TLS) &&
		a.WaitReplicas == b.WaitReplicas && a.WaitTimeout == b.WaitTimeout
}

// sameTLS compares what this module sets. It takes any other configuration for a new one.
func sameTLS(a, b *tls.Config) bool {
	return a == b || a != nil && b != nil && a.ServerName == b.ServerName && a.MinVersion == b.MinVersion &&
		a.RootCAs == b.RootCAs && len(a.Certificates) == 0 && len(b.Certificates) == 0
}
