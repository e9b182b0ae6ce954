package caddymodule

import (
	links "container/list"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// emitBodies are the copies of bodies that are still coming or going, in the order in which they
// began. Whoever sends or reads a body slowly holds memory for as long as he likes: when others need
// it, the copy that has had it longest is given up.
type emitBodies struct {
	bytes atomic.Int64

	mu  sync.Mutex
	all links.List // of *emitCopy
}

// slowBody is after how long a body may be given up. It is far more than bodies take, or under load
// those that are nearly there would make room for others, which do not get there either.
const slowBody = time.Second

var errSlowBody = errors.New("its body took so long that others needed its memory (emit_queue)")

// note notes that a copy has so many bytes more. The caller holds c.mu.
func (b *emitBodies) note(c *emitCopy, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.place == nil {
		c.place, c.began = b.all.PushBack(c), time.Now()
	}
	c.reserved += bytes
	b.bytes.Add(bytes)
}

// leave keeps a copy from being given up.
func (b *emitBodies) leave(c *emitCopy) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.remove(c)
}

// remove takes a copy out. The caller holds b.mu.
func (b *emitBodies) remove(c *emitCopy) {
	if c.place != nil {
		b.all.Remove(c.place)
		c.place = nil
		b.bytes.Add(-c.reserved)
	}
}

// giveUpOne gives up the copy that has taken longest, unless none has taken long, and returns its
// memory. A copy that grows right now is not slow.
func (b *emitBodies) giveUpOne() (bytes int64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for e := b.all.Front(); e != nil; e = e.Next() {
		c, _ := e.Value.(*emitCopy)
		if time.Since(c.began) < slowBody {
			break
		}
		if !c.mu.TryLock() {
			continue
		}
		b.remove(c)
		bytes = c.reserved
		c.bytes, c.reserved, c.slow = nil, 0, true
		c.mu.Unlock()
		return bytes, true
	}
	return 0, false
}
