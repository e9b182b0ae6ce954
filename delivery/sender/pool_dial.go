package sender

import (
	"context"
	"time"
)

// dialPatience is how long a request waits at most for connections that others make, before
// it makes one itself: as long as TCP waits before it asks again.
const dialPatience = time.Second

// dialling is a connection that a request makes. Others wait for it, since it may take them,
// too: those that come first to an endpoint need not all make one.
type dialling struct {
	siblings *endpointConns
	waiting  int // requests
	// done is closed at the end. Then made says whether there is a connection.
	done chan struct{}
	made bool
}

// wait waits for the end, and reports whether a connection was made before it gives up.
func (d *dialling) wait(ctx context.Context, giveUp time.Time) (made bool) {
	timer := time.NewTimer(time.Until(giveUp))
	defer timer.Stop()
	select {
	case <-d.done:
		return d.made
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// giveUp is when a request gives up waiting for connections that others make: so soon that the
// rest of the time until its deadline will do for one of its own.
func (p *pool) giveUp(deadline time.Time) time.Time {
	return time.Now().Add(min(p.patience, share(deadline, 4)))
}

// getOrBegin returns a connection for a request, as get does, or begins one. It waits for
// those that others make, but not for long.
func (p *pool) getOrBegin(ctx context.Context, to endpoint, deadline time.Time) (*pooledConn, *dialling) {
	giveUp := p.giveUp(deadline)
	for patient := true; ; {
		if c := p.get(to, deadline); c != nil {
			return c, nil
		}
		d, joined := p.joinOrBegin(to, patient)
		if !joined {
			return nil, d
		}
		patient = d.wait(ctx, giveUp)
	}
}

// joinOrBegin lets a request wait for the connection that is being made, if it may and there
// will be room for it, or else begins one.
func (p *pool) joinOrBegin(to endpoint, mayJoin bool) (d *dialling, joined bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	siblings := p.siblings(to)
	if d := siblings.dialling; mayJoin && d != nil && (siblings.capacity == 0 || d.waiting+1 < siblings.capacity) {
		d.waiting++
		return d, true
	}
	siblings.open++
	d = &dialling{siblings: siblings, done: make(chan struct{})}
	if to.scheme == "https" && !siblings.unshared {
		siblings.dialling = d
	}
	return d, false
}

// isOnly reports whether no other request has or makes a connection, or waits for the one
// that is being made. If so, none will wait for it.
func (p *pool) isOnly(d *dialling) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.siblings.open > 1 || d.waiting > 0 {
		return false
	}
	d.siblings.dialling = nil
	return true
}

// settled notes how many requests a connection that is being made takes at a time.
func (p *pool) settled(d *dialling, capacity int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d.siblings.capacity = capacity
}

// end lets those go on who wait for a connection.
func (p *pool) end(d *dialling, made bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.siblings.dialling == d {
		d.siblings.dialling = nil
	}
	d.made = made
	close(d.done)
}
