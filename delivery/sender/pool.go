package sender

import (
	"math"
	"slices"
	"sync"
	"time"
)

// forever is longer than the pool keeps any connection.
const forever = time.Duration(math.MaxInt64)

// pool is all connections of one sender. Between requests they are idle: the most
// recently used is used first, and others are closed when there are too many, or
// when they have been idle for too long.
type pool struct {
	// maxIdle is how many may be idle, and idleTimeout for how long. One endpoint may
	// have all of them: many webhooks often lead to the same one.
	maxIdle     int
	idleTimeout time.Duration
	// patience is how long a request waits at most for connections that others make.
	patience time.Duration

	mu        sync.Mutex
	endpoints map[endpoint]*endpointConns
	idle      int
	// newest and oldest are the ends of the list of idle connections.
	newest, oldest *pooledConn
	// timer expires the oldest one; timerSet says that it runs.
	timer    *time.Timer
	timerSet bool
	closed   bool
}

// endpoint is what a connection leads to, as the URL has it.
type endpoint struct {
	scheme, host string
	identity     *Identity // of who leads it there, nil if nobody in particular does
}

// endpointConns are the connections to one endpoint.
type endpointConns struct {
	endpoint
	// open counts all of them, including those that serve a request or are being made.
	open int
	// available are those that may be given to a request, the most recently used last.
	available []*pooledConn
	// unshared says that the latest one takes one request at a time, as those of HTTP/1
	// do. Then nobody waits for one that another makes.
	unshared bool
	// capacity is how many requests one takes at a time, or 0 while that is not known.
	capacity int
	// making counts those that are being made now, and turns are of those that wait for it.
	making int
	turns  []chan struct{}
	// dialling is the latest one that is being made and may be waited for, or nil.
	dialling *dialling
}

// pooledConn is a connection in the pool.
type pooledConn struct {
	connection
	siblings *endpointConns
	inFlight int
	// available says that it is among the available ones, and spent that it never
	// will be again.
	available, spent bool
	// While idle, that is, with nothing in flight:
	idleSince    time.Time
	keepFor      time.Duration
	newer, older *pooledConn
}

func (p *pool) init(maxIdle int) {
	p.maxIdle, p.idleTimeout, p.patience = maxIdle, idleConnTimeout, dialPatience
	p.endpoints = make(map[endpoint]*endpointConns)
}

// get returns a connection for a request, which will be over by the deadline, or
// nil if there is none. The caller must put it back.
func (p *pool) get(to endpoint, deadline time.Time) *pooledConn {
	for {
		c, ready := p.pick(to, deadline, false)
		if c == nil || ready || !c.shared() && !c.isStale() && c.ready(deadline) {
			return c
		}
		p.put(c, 0)
	}
}

// isStale says that the connection, which was idle until now, has been so for too long:
// the endpoint may be about to close it.
func (c *pooledConn) isStale() bool {
	return c.keepFor != forever && time.Since(c.idleSince) > c.keepFor
}

// pick assigns a request to a connection. If that is not said to be ready, it is
// either one whose readiness the caller must find out, without the lock, or a
// shared one at its end.
func (p *pool) pick(to endpoint, deadline time.Time, onlyShared bool) (c *pooledConn, ready bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	siblings := p.endpoints[to]
	if siblings == nil {
		return nil, false
	}
	for _, c := range slices.Backward(siblings.available) {
		if onlyShared && !c.shared() {
			continue
		}
		ready := c.shared() && c.ready(deadline)
		if ready || !c.shared() || c.inFlight == 0 {
			p.assign(c)
			return c, ready
		}
	}
	return nil, false
}

// begin counts a connection that is about to be made, and that nobody waits for. The caller
// must then add it, or abandon it.
func (p *pool) begin(to endpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.siblings(to).open++
}

// siblings returns the connections to an endpoint, of which there is about to be one.
func (p *pool) siblings(to endpoint) *endpointConns {
	siblings := p.endpoints[to]
	if siblings == nil {
		siblings = &endpointConns{endpoint: to}
		p.endpoints[to] = siblings
	}
	return siblings
}

func (p *pool) abandon(to endpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(p.endpoints[to])
}

// add puts a new connection into the pool, with a request assigned to it. If that is
// to be alone, no other request gets the connection before it is over. Otherwise, if
// there is a shared connection meanwhile, add returns that and closes the new one.
func (p *pool) add(to endpoint, conn connection, alone bool) *pooledConn {
	if conn.shared() && !alone {
		c, ready := p.pick(to, time.Time{}, true)
		if ready {
			conn.close()
			p.abandon(to)
			return c
		}
		if c != nil {
			p.put(c, 0)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &pooledConn{connection: conn, siblings: p.endpoints[to], inFlight: 1}
	c.siblings.unshared = !conn.shared()
	if conn.shared() {
		conn.ready(time.Time{}) // for its first request; if not, that will tell
		if !alone {
			c.offer()
		}
	}
	return c
}

// put gives back a connection after a request, to be idle for some time at most, or,
// if that is 0, to be closed.
func (p *pool) put(c *pooledConn, keepFor time.Duration) {
	if surplus := p.unassign(c, keepFor); surplus != nil {
		surplus.close()
	}
}

// assign counts a request on a connection.
func (p *pool) assign(c *pooledConn) {
	if c.inFlight == 0 {
		p.removeIdle(c)
	}
	c.inFlight++
	if !c.shared() {
		c.withdraw()
	}
}

// unassign ends a request on a connection. It returns the connection that the
// caller must now close, which may be another one, or nil.
func (p *pool) unassign(c *pooledConn, keepFor time.Duration) (surplus *pooledConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.inFlight--
	c.keepFor = keepFor
	if keepFor == 0 {
		c.spent = true
		c.withdraw()
	}
	switch {
	case c.inFlight > 0:
		return nil
	case c.spent || p.closed:
		p.remove(c)
		return c
	}
	p.pushIdle(c)
	if p.idle > p.maxIdle {
		surplus = p.popOldest()
	}
	return surplus
}

// remove takes a connection that is neither in use nor idle out of the pool.
func (p *pool) remove(c *pooledConn) {
	c.withdraw()
	p.drop(c.siblings)
}

// drop counts a connection less.
func (p *pool) drop(from *endpointConns) {
	from.open--
	if from.open == 0 {
		delete(p.endpoints, from.endpoint)
	}
}

// offer lets further requests have a connection.
func (c *pooledConn) offer() {
	if !c.available {
		c.available = true
		c.siblings.available = append(c.siblings.available, c)
	}
}

// withdraw keeps further requests from a connection.
func (c *pooledConn) withdraw() {
	if c.available {
		c.available = false
		i := slices.Index(c.siblings.available, c)
		c.siblings.available = slices.Delete(c.siblings.available, i, i+1)
	}
}
