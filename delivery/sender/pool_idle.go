package sender

import (
	"slices"
	"time"
)

// pushIdle makes a connection the newest of the idle ones.
func (p *pool) pushIdle(c *pooledConn) {
	c.offer()
	c.idleSince = time.Now()
	c.older = p.newest
	if p.newest == nil {
		p.oldest = c
	} else {
		p.newest.newer = c
	}
	p.newest = c
	p.idle++
	if !p.timerSet {
		p.expireIn(p.idleTimeout)
	}
}

// removeIdle takes a connection out of the list of idle ones.
func (p *pool) removeIdle(c *pooledConn) {
	if c.newer == nil {
		p.newest = c.older
	} else {
		c.newer.older = c.older
	}
	if c.older == nil {
		p.oldest = c.newer
	} else {
		c.older.newer = c.newer
	}
	c.newer, c.older = nil, nil
	p.idle--
}

// popOldest takes the connection that has been idle for longest out of the pool.
func (p *pool) popOldest() *pooledConn {
	c := p.oldest
	p.removeIdle(c)
	p.remove(c)
	return c
}

// closeIdle closes the connections to an endpoint that have been idle since before a
// time.
func (p *pool) closeIdle(to *endpointConns, before time.Time) {
	p.mu.Lock()
	var idle []*pooledConn
	for _, c := range slices.Clone(to.available) {
		if c.inFlight == 0 && c.idleSince.Before(before) {
			p.removeIdle(c)
			p.remove(c)
			idle = append(idle, c)
		}
	}
	p.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}

func (p *pool) expireIn(d time.Duration) {
	p.timerSet = true
	if p.timer == nil {
		p.timer = time.AfterFunc(d, p.expire)
	} else {
		p.timer.Reset(d)
	}
}

// expire closes what has been idle for too long.
func (p *pool) expire() {
	p.mu.Lock()
	p.timerSet = false
	var old []*pooledConn
	for p.oldest != nil {
		if left := p.idleTimeout - time.Since(p.oldest.idleSince); left > 0 {
			p.expireIn(left)
			break
		}
		old = append(old, p.popOldest())
	}
	p.mu.Unlock()
	for _, c := range old {
		c.close()
	}
}

// close closes the idle connections now, and the others after their requests.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	var idle []*pooledConn
	for p.oldest != nil {
		idle = append(idle, p.popOldest())
	}
	p.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}
