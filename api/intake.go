package api

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// smallBody is how many bytes a body may have that need no room: it takes no more memory
	// than its connection does.
	smallBody = 4 << 10
	// intakeSize is how many bytes an Intake has room for: four of the largest bodies.
	intakeSize = 4 * (MaxArraySize + smallBody)
	// roomPatience is how long a body waits for room before its call is refused, and
	// maxRoomWaiting how many of a tenant wait.
	roomPatience   = 5 * time.Second
	maxRoomWaiting = 64
)

// Intake bounds the memory of bodies, from before they are read until their calls end. All
// APIs of a process share one.
//
// No tenant takes more than it leaves free for others: one alone can have half of the room,
// and the next one half of what is left.
type Intake struct {
	// Patience is how long a body may take to arrive, beside a second for each 256 KiB of it.
	// It must not be changed while the intake is in use.
	Patience time.Duration

	mu      sync.Mutex
	free    int64
	taken   map[string]int64 // by tenant
	waiting map[string][]*roomWaiter
}

// roomWaiter waits for so many bytes.
type roomWaiter struct {
	bytes int64
	given chan struct{} // closed once it has them
}

// NewIntake makes an intake that has all its room.
func NewIntake() *Intake {
	return &Intake{
		Patience: 30 * time.Second,
		free:     intakeSize, taken: make(map[string]int64), waiting: make(map[string][]*roomWaiter),
	}
}

// fits says whether the tenant may take so many bytes now. The caller holds in.mu.
func (in *Intake) fits(tenant string, bytes int64) bool {
	return in.taken[tenant]+bytes <= in.free-bytes
}

// add takes so many bytes, or gives them back if there are less than none. The caller holds
// in.mu.
func (in *Intake) add(tenant string, bytes int64) {
	in.free -= bytes
	if in.taken[tenant] += bytes; in.taken[tenant] == 0 {
		delete(in.taken, tenant)
	}
}

// takeMore takes so many bytes for a body that has some already. It does not wait, for
// bodies that hold some could wait for each other.
func (in *Intake) takeMore(tenant string, bytes int64) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.fits(tenant, bytes) {
		return false
	}
	in.add(tenant, bytes)
	return true
}

// take takes so many bytes, and waits for them if it has to.
func (in *Intake) take(ctx context.Context, tenant string, bytes int64) bool {
	in.mu.Lock()
	queue := in.waiting[tenant]
	switch {
	case len(queue) == 0 && in.fits(tenant, bytes):
		in.add(tenant, bytes)
		in.mu.Unlock()
		return true
	case len(queue) >= maxRoomWaiting:
		in.mu.Unlock()
		return false
	}
	w := &roomWaiter{bytes, make(chan struct{})}
	in.waiting[tenant] = append(queue, w)
	in.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, roomPatience)
	defer cancel()
	select {
	case <-w.given:
		return true
	case <-ctx.Done():
		return !in.giveUp(tenant, w)
	}
}

// giveUp stops waiting; false if there is room by now.
func (in *Intake) giveUp(tenant string, w *roomWaiter) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	i := slices.Index(in.waiting[tenant], w)
	if i < 0 {
		return false
	}
	in.setWaiting(tenant, slices.Delete(in.waiting[tenant], i, i+1))
	in.serve() // those behind it may need less
	return true
}

// give gives back so many bytes.
func (in *Intake) give(tenant string, bytes int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.add(tenant, -bytes)
	in.serve()
}

// serve gives room to those who wait, in the order in which each tenant's came. The caller
// holds in.mu.
func (in *Intake) serve() {
	for tenant, queue := range in.waiting {
		for len(queue) > 0 && in.fits(tenant, queue[0].bytes) {
			in.add(tenant, queue[0].bytes)
			close(queue[0].given)
			queue = queue[1:]
		}
		in.setWaiting(tenant, queue)
	}
}

func (in *Intake) setWaiting(tenant string, queue []*roomWaiter) {
	if in.waiting[tenant] = queue; len(queue) == 0 {
		delete(in.waiting, tenant)
	}
}

// takeRoom gets room for a body that announces so many bytes.
func (c *call) takeRoom(ctx context.Context, bytes int64) error {
	if bytes <= smallBody {
		return nil
	}
	if !c.api.Intake.take(ctx, c.Tenant, bytes) {
		return tooManyBodies()
	}
	c.room = bytes
	return nil
}

// growRoom gets room for a body that has announced nothing and becomes so large.
func (c *call) growRoom(bytes int64) error {
	if bytes <= smallBody || bytes <= c.room {
		return nil
	}
	if !c.api.Intake.takeMore(c.Tenant, bytes-c.room) {
		return tooManyBodies()
	}
	c.room = bytes
	return nil
}

// leaveRoom gives back what the call has.
func (c *call) leaveRoom() {
	if c.room > 0 {
		c.api.Intake.give(c.Tenant, c.room)
		c.room = 0
	}
}
