package sender

import (
	"slices"
	"sync"
	"time"
)

// connections are those of one sender. They are kept while they are idle: the
// most recently used are used first, and the others closed when there are too
// many, or too old.
type connections struct {
	// most is how many are idle, and keepFor for how long. An endpoint may have all
	// of them: many webhooks often lead to the same one.
	most    int
	keepFor time.Duration

	mu        sync.Mutex
	endpoints map[endpoint]*atEndpoint
	idle      int
	// newest and oldest are the ends of the list of idle connections.
	newest, oldest *kept
	// timer wakes when the oldest one may be too old, if it is waking.
	timer  *time.Timer
	waking bool
	closed bool
}

// endpoint is what a connection leads to, as the URL has it.
type endpoint struct{ scheme, host string }

// atEndpoint are the connections to one endpoint.
type atEndpoint struct {
	endpoint
	// all counts them, those included that serve a request.
	all int
	// ready are those that a request may take, the most recently used last.
	ready []*kept
}

// kept is a connection that is known to connections.
type kept struct {
	connection
	at       *atEndpoint
	inFlight int
	// While idle, that is, with nothing in flight:
	since        time.Time
	newer, older *kept
}

func (c *connections) init(most int) {
	c.most, c.keepFor = most, idleConnTimeout
	c.endpoints = make(map[endpoint]*atEndpoint)
}

// take takes a connection for a request, which will be over by the deadline, or
// returns nil if there is none.
func (c *connections) take(to endpoint, deadline time.Time) *kept {
	for {
		k, ready := c.next(to, deadline, false)
		if k == nil || ready || !k.shared() && k.ready(deadline) {
			return k
		}
		c.release(k, false)
	}
}

// next takes a connection. If that is not said to be ready, it may be, which is
// found out without the lock, or it is one that is shared and at its end.
func (c *connections) next(to endpoint, deadline time.Time, onlyShared bool) (k *kept, ready bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.endpoints[to]
	if at == nil {
		return nil, false
	}
	for _, k := range slices.Backward(at.ready) {
		if onlyShared && !k.shared() {
			continue
		}
		ready := k.shared() && k.ready(deadline)
		if ready || !k.shared() || k.inFlight == 0 {
			c.begin(k)
			return k, ready
		}
	}
	return nil, false
}

// add makes a new connection known, which serves a request from now on. If there
// is a shared one meanwhile, that does, and the new one is closed: requests that
// find none at the same time all make one.
func (c *connections) add(to endpoint, conn connection) *kept {
	if conn.shared() {
		k, ready := c.next(to, time.Time{}, true)
		if ready {
			conn.close()
			return k
		}
		if k != nil {
			c.release(k, false)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.endpoints[to]
	if at == nil {
		at = &atEndpoint{endpoint: to}
		c.endpoints[to] = at
	}
	at.all++
	k := &kept{connection: conn, at: at, inFlight: 1}
	if conn.shared() {
		conn.ready(time.Time{}) // for its first request; if not, that will tell
		at.ready = append(at.ready, k)
	}
	return k
}

// release ends a request on a connection, which is closed if it is not worth
// keeping.
func (c *connections) release(k *kept, keep bool) {
	if surplus := c.end(k, keep); surplus != nil {
		surplus.close()
	}
}

// end is release, but for the connection that it returns to be closed.
func (c *connections) end(k *kept, keep bool) (surplus *kept) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k.inFlight--
	switch {
	case k.inFlight > 0 && keep:
		return nil
	case k.inFlight > 0: // no more requests
		k.at.withdraw(k)
		return nil
	case !keep || c.closed:
		c.forget(k)
		return k
	}
	c.putIdle(k)
	if c.idle > c.most {
		surplus = c.takeOldest()
	}
	return surplus
}

// begin begins a request on a connection.
func (c *connections) begin(k *kept) {
	if k.inFlight == 0 {
		c.takeIdle(k)
	}
	k.inFlight++
	if !k.shared() {
		k.at.withdraw(k)
	}
}

// forget takes out a connection that has nothing in flight and is not idle.
func (c *connections) forget(k *kept) {
	k.at.withdraw(k)
	k.at.all--
	if k.at.all == 0 {
		delete(c.endpoints, k.at.endpoint)
	}
}

// withdraw lets no more requests take a connection.
func (at *atEndpoint) withdraw(k *kept) {
	if i := slices.Index(at.ready, k); i >= 0 {
		at.ready = slices.Delete(at.ready, i, i+1)
	}
}

// putIdle makes a connection the newest of the idle ones.
func (c *connections) putIdle(k *kept) {
	if !k.shared() {
		k.at.ready = append(k.at.ready, k)
	}
	k.since = time.Now()
	k.older = c.newest
	if c.newest == nil {
		c.oldest = k
	} else {
		c.newest.newer = k
	}
	c.newest = k
	c.idle++
	if !c.waking {
		c.wakeIn(c.keepFor)
	}
}

// takeIdle takes a connection out of the idle ones.
func (c *connections) takeIdle(k *kept) {
	if k.newer == nil {
		c.newest = k.older
	} else {
		k.newer.older = k.older
	}
	if k.older == nil {
		c.oldest = k.newer
	} else {
		k.older.newer = k.newer
	}
	k.newer, k.older = nil, nil
	c.idle--
}

func (c *connections) wakeIn(d time.Duration) {
	c.waking = true
	if c.timer == nil {
		c.timer = time.AfterFunc(d, c.expire)
	} else {
		c.timer.Reset(d)
	}
}

// expire closes what has been idle for too long.
func (c *connections) expire() {
	c.mu.Lock()
	c.waking = false
	var old []*kept
	for c.oldest != nil {
		if left := c.keepFor - time.Since(c.oldest.since); left > 0 {
			c.wakeIn(left)
			break
		}
		old = append(old, c.takeOldest())
	}
	c.mu.Unlock()
	for _, k := range old {
		k.close()
	}
}

// close closes the idle connections now, and the others after their requests.
func (c *connections) close() {
	c.mu.Lock()
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
	var idle []*kept
	for c.oldest != nil {
		idle = append(idle, c.takeOldest())
	}
	c.mu.Unlock()
	for _, k := range idle {
		k.close()
	}
}

// takeOldest takes out the connection that has been idle for longest.
func (c *connections) takeOldest() *kept {
	k := c.oldest
	c.takeIdle(k)
	c.forget(k)
	return k
}
