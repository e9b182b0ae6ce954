package caddymodule

import (
	links "container/list"
	"sync"
	"time"
)

// emitCopy is a copy of a body in the making. Its memory is the gateway's.
type emitCopy struct {
	max    int64 // bytes
	likely int64 // how many there will be, if more than 0
	// needed: it is all that there is of the body, and cannot be given up.
	needed bool

	mu       sync.Mutex // whoever needs memory may take it from a slow body
	bytes    []byte
	reserved int64 // bytes of the gateway's memory
	// tooLarge, failed and slow: nothing is copied any more, since the body is too large, there
	// is no memory, or others needed it.
	tooLarge, failed, slow bool

	// The bodies' lock guards these: when it began, and its place among those that are not done.
	began time.Time
	place *links.Element
}

const (
	firstCopy     = 512
	mostPromising = 64 << 10 // what may be reserved because somebody says that it comes
	mostPromised  = 4 << 10  // the same, if it is a stranger
)

// Write implements io.Writer.
func (c *emitCopy) Write(p []byte) (int, error) {
	c.add(p)
	return len(p), nil
}

// add copies more of the body, and reports whether all of it is copied so far. What is not all
// is dropped.
func (c *emitCopy) add(p []byte) bool {
	if !c.keep(p) {
		c.free()
		return false
	}
	return true
}

// keep is add, but what has been copied before stays.
func (c *emitCopy) keep(p []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	need := int64(len(c.bytes) + len(p))
	switch {
	case c.tooLarge || c.failed || c.slow:
		return false
	case need > c.max:
		c.tooLarge = true
		return false
	case need > int64(cap(c.bytes)) && !c.grow(need):
		c.failed = true
		return false
	}
	c.bytes = append(c.bytes, p...)
	return true
}

// grow makes room. The caller holds c.mu.
func (c *emitCopy) grow(need int64) bool {
	size := max(need, 2*int64(cap(c.bytes)), min(c.likely, mostPromising))
	if c.likely <= 0 {
		size = max(size, firstCopy)
	}
	size = min(size, c.max)
	more := size - c.reserved
	if !gateway.reserve(more) {
		return false
	}
	if c.needed {
		c.reserved = size
	} else {
		gateway.bodies.note(c, more)
	}
	grown := make([]byte, len(c.bytes), size)
	copy(grown, c.bytes)
	c.bytes = grown
	return true
}

// done keeps the copy from being given up, when there is no more to copy. It returns false if it
// is not all of the body, and its bytes are the caller's alone from then on.
func (c *emitCopy) done() bool {
	gateway.bodies.leave(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.tooLarge && !c.failed && !c.slow
}

// why is why a copy that is not too large is none.
func (c *emitCopy) why() error {
	if c.slow {
		return errSlowBody
	}
	return errQueueFull
}

// take gives the memory away, and the bytes with it.
func (c *emitCopy) take() (bytes []byte, memory int64) {
	bytes, memory = c.bytes, c.reserved
	c.bytes, c.reserved = nil, 0
	return bytes, memory
}

// free gives the memory back. There may be no copy.
func (c *emitCopy) free() {
	if c == nil {
		return
	}
	gateway.bodies.leave(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	gateway.unreserve(c.reserved)
	c.bytes, c.reserved = nil, 0
}

// emitMemory is memory of the gateway beside copies.
type emitMemory int64

// take takes more bytes, unless there are too few left.
func (m *emitMemory) take(bytes int64) bool {
	if !gateway.reserve(bytes) {
		return false
	}
	*m += emitMemory(bytes)
	return true
}

func (m *emitMemory) free() {
	gateway.unreserve(int64(*m))
	*m = 0
}
