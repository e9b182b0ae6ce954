package main

import (
	"context"
	"sync"
)

// group runs functions side by side. When one fails, the context of all ends.
type group struct {
	ctx    context.Context // the context that the functions get
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
}

func newGroup(ctx context.Context) *group {
	g := new(group)
	g.ctx, g.cancel = context.WithCancelCause(ctx)
	return g
}

func (g *group) start(f func(ctx context.Context) error) {
	g.wg.Go(func() {
		if err := f(g.ctx); err != nil {
			g.cancel(err)
		}
	})
}

// wait waits until all functions have returned, and returns the first error.
func (g *group) wait() error {
	g.wg.Wait()
	err := context.Cause(g.ctx)
	g.cancel(nil) // releases the context
	return err
}
