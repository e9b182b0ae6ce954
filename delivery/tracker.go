package delivery

import (
	"context"
	"sync"
)

// tracker counts work in progress, so that one can wait for its end or break it
// off. Unlike a sync.WaitGroup it may be waited for while work begins.
type tracker struct {
	mu     sync.Mutex
	n      int
	closed bool
	idle   chan struct{} // closed when n is 0
	ctx    context.Context
	cancel context.CancelFunc
}

func newTracker() *tracker {
	t := &tracker{idle: make(chan struct{})}
	close(t.idle)
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// begin counts one more; it ends with end. The context ends when work is broken
// off. False means that the tracker is closed.
func (t *tracker) begin() (context.Context, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, false
	}
	if t.n == 0 {
		t.idle = make(chan struct{})
	}
	t.n++
	return t.ctx, true
}

func (t *tracker) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n--; t.n == 0 {
		close(t.idle)
	}
}

// wait returns true when there is no work, false if ctx ended first.
func (t *tracker) wait(ctx context.Context) bool {
	t.mu.Lock()
	idle := t.idle
	t.mu.Unlock()
	select {
	case <-idle:
		return true
	case <-ctx.Done():
		return false
	}
}

// abort breaks off the work in progress, and none that begins later.
func (t *tracker) abort() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cancel()
	t.ctx, t.cancel = context.WithCancel(context.Background())
}

// close lets no more work begin, until open is called.
func (t *tracker) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
}

func (t *tracker) open() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = false
}
