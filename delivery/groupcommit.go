package delivery

import "sync"

// groupCommit makes batches that form by themselves: while one commit runs, what
// is added gathers, and the next commit takes it all. Alone, a value is
// committed at once, in the goroutine that added it; nobody waits for a timer.
type groupCommit[T any] struct {
	// commit takes a batch; it is never called twice at a time.
	commit func(batch []T)
	// take says how many of the waiting values make a batch, at least one.
	take func(waiting []T) int

	mu      sync.Mutex
	waiting []T
	running bool
	more    sync.WaitGroup // the goroutine that goes on after add has returned
}

// add puts a value into the next batch. It returns without waiting for the
// value's commit when another one runs, and after it otherwise.
func (g *groupCommit[T]) add(v T) {
	batch := g.put(v)
	if batch == nil {
		return
	}
	g.commit(batch)

	// Whoever added the first value must not be kept for the others.
	g.mu.Lock()
	defer g.mu.Unlock()
	if batch := g.next(); batch != nil {
		g.more.Go(func() { g.run(batch) })
	}
}

// hand is add for a caller who has other things to do: it never waits.
func (g *groupCommit[T]) hand(v T) {
	if batch := g.put(v); batch != nil {
		g.more.Go(func() { g.run(batch) })
	}
}

// put adds a value to what waits. If nothing runs, it gives the batch to run.
func (g *groupCommit[T]) put(v T) []T {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, v)
	if g.running {
		return nil
	}
	g.running = true
	return g.next()
}

func (g *groupCommit[T]) run(batch []T) {
	for batch != nil {
		g.commit(batch)
		g.mu.Lock()
		batch = g.next()
		g.mu.Unlock()
	}
}

// next takes the next batch out of what waits, and ends the run if nothing does.
func (g *groupCommit[T]) next() []T {
	if len(g.waiting) == 0 {
		g.running = false
		return nil
	}
	n := g.take(g.waiting)
	batch := g.waiting[:n:n]
	if n == len(g.waiting) {
		g.waiting = nil
	} else {
		g.waiting = g.waiting[n:]
	}
	return batch
}

// wait returns when nothing is being committed by a goroutine of its own. The
// caller sees to it that nothing is added meanwhile.
func (g *groupCommit[T]) wait() { g.more.Wait() }
