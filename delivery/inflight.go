package delivery

import (
	"context"
	"sync"
)

// inFlight counts work in progress, so that one can wait for it or abort it. Unlike a
// sync.WaitGroup it may be waited for while more work starts.
type inFlight struct {
	mu     sync.Mutex
	n      int
	closed bool
	idle   chan struct{} // closed when n becomes 0; nil if nobody waits for that
	ctx    context.Context
	cancel context.CancelFunc
}

func newInFlight() *inFlight {
	f := new(inFlight)
	f.ctx, f.cancel = context.WithCancel(context.Background())
	return f
}

// add counts one more, until done. The context ends when the work is aborted. False
// means that no more may start.
func (f *inFlight) add() (context.Context, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, false
	}
	f.n++
	return f.ctx, true
}

func (f *inFlight) done() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n--; f.n == 0 && f.idle != nil {
		close(f.idle)
		f.idle = nil
	}
}

// wait returns true when no work is in progress, false if ctx ended first.
func (f *inFlight) wait(ctx context.Context) bool {
	idle := f.waitFor()
	if idle == nil {
		return true
	}
	select {
	case <-idle:
		return true
	case <-ctx.Done():
		return false
	}
}

// waitFor is closed when no work is in progress any more; nil if none is now.
func (f *inFlight) waitFor() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n > 0 && f.idle == nil {
		f.idle = make(chan struct{})
	}
	return f.idle
}

// abort ends the context of the work in progress, but not of work that starts later.
func (f *inFlight) abort() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cancel()
	f.ctx, f.cancel = context.WithCancel(context.Background())
}

// close lets no more work start, until open is called.
func (f *inFlight) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
}

func (f *inFlight) open() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = false
}
