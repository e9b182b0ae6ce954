// Package groupcommit makes batches that form by themselves.
package groupcommit

import "sync"

// Group gathers what is added while one commit runs, and the next commit takes it
// all. Alone, a value is committed at once, in the goroutine that added it; nobody
// waits for a timer.
type Group[T any] struct {
	// Commit takes a batch; it is never called twice at a time.
	Commit func(batch []T)
	// Limit says how many of the waiting values make a batch, at least one. Nil makes
	// one batch of all.
	Limit func(waiting []T) int

	mu      sync.Mutex
	waiting []T
	running bool
	more    sync.WaitGroup // the goroutine that goes on after Add has returned
}

// Add puts a value into the next batch. It returns without waiting for the
// value's commit when another one runs, and after it otherwise.
func (g *Group[T]) Add(v T) {
	batch := g.put(v)
	if batch == nil {
		return
	}
	g.Commit(batch)

	// Whoever added the first value must not be kept for the others.
	g.mu.Lock()
	defer g.mu.Unlock()
	if batch := g.next(); batch != nil {
		g.more.Go(func() { g.run(batch) })
	}
}

// AddAsync is Add for a caller who has other things to do: it never waits.
func (g *Group[T]) AddAsync(v T) {
	if batch := g.put(v); batch != nil {
		g.more.Go(func() { g.run(batch) })
	}
}

// put adds a value to what waits. If nothing runs, it gives the batch to run.
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

// next takes the next batch out of what waits, and ends the run if nothing does.
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

// Wait returns when nothing is being committed by a goroutine of its own. The
// caller sees to it that nothing is added meanwhile.
func (g *Group[T]) Wait() { g.more.Wait() }
