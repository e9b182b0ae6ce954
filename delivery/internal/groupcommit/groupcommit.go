// Package groupcommit commits values in batches, which form by themselves.
package groupcommit

import "sync"

// Group gathers the values that are added during one commit into the batch of the next. A
// value that is added alone is committed at once, in the goroutine that added it. No timer
// is involved.
type Group[T any] struct {
	// Commit commits a batch. Calls of it never overlap.
	Commit func(batch []T)
	// Limit says how many of the waiting values make a batch, at least one. Nil makes
	// one batch of all.
	Limit func(waiting []T) int

	mu      sync.Mutex
	waiting []T
	running bool
	more    sync.WaitGroup // the goroutine that continues after Add has returned
}

// Add puts a value into the next batch. If a commit is running, Add returns at once.
// Otherwise it commits the value before it returns.
func (g *Group[T]) Add(v T) {
	batch := g.put(v)
	if batch == nil {
		return
	}
	g.Commit(batch)

	// The caller, who added the first value, must not wait for the others.
	g.mu.Lock()
	defer g.mu.Unlock()
	if batch := g.next(); batch != nil {
		g.more.Go(func() { g.run(batch) })
	}
}

// AddAsync is like Add, but never waits.
func (g *Group[T]) AddAsync(v T) {
	if batch := g.put(v); batch != nil {
		g.more.Go(func() { g.run(batch) })
	}
}

// Busy reports whether a commit is running, for which a value that is added now would wait.
func (g *Group[T]) Busy() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.running
}

// put adds a value to those that wait. If no commit is running, it returns a batch to
// commit.
func (g *Group[T]) put(v T) []T {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, v)
	if g.running {
		return nil
	}
	g.running = true
	return g.next()
}

func (g *Group[T]) run(batch []T) {
	for batch != nil {
		g.Commit(batch)
		g.mu.Lock()
		batch = g.next()
		g.mu.Unlock()
	}
}

// next takes the next batch from the values that wait, and ends the run if there are none.
func (g *Group[T]) next() []T {
	if len(g.waiting) == 0 {
		g.running = false
		return nil
	}
	n := len(g.waiting)
	if g.Limit != nil {
		n = g.Limit(g.waiting)
	}
	batch := g.waiting[:n:n]
	if n == len(g.waiting) {
		g.waiting = nil
	} else {
		g.waiting = g.waiting[n:]
	}
	return batch
}

// Wait waits until no goroutine of the group is committing. The caller must make sure that
// nothing is added meanwhile.
func (g *Group[T]) Wait() { g.more.Wait() }
