package groupcommit

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// all makes one batch of all values that wait.
func all(waiting []int) int { return len(waiting) }

func TestAloneIsAtOnce(t *testing.T) {
	var committed []int
	g := Group[int]{Limit: all, Commit: func(batch []int) { committed = append(committed, batch...) }}
	for v := range 3 {
		g.Add(v)
		if want := []int{0, 1, 2}[:v+1]; !slices.Equal(committed, want) {
			t.Fatalf("after Add(%d): committed %v", v, committed)
		}
	}
	g.Wait()
}

// Values that are added during a commit go into the next one together. Whoever added the
// first value does not wait for that.
func TestGathers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		batches := make(chan []int)
		g := Group[int]{Limit: all, Commit: func(batch []int) { batches <- batch }}
		returned := make(chan struct{})
		go func() {
			g.Add(0)
			close(returned)
		}()
		synctest.Wait() // until the first commit runs
		for v := 1; v <= 3; v++ {
			g.Add(v) // does not block
		}
		if got := <-batches; !slices.Equal(got, []int{0}) {
			t.Errorf("the first batch is %v", got)
		}
		<-returned // before the second commit has ended
		if got := <-batches; !slices.Equal(got, []int{1, 2, 3}) {
			t.Errorf("the second batch is %v", got)
		}
		g.Wait()
	})
}

func TestTakesBatchesOfItsSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var sizes []int
		g := Group[int]{
			Limit: func(waiting []int) int { return min(len(waiting), 2) },
			Commit: func(batch []int) {
				<-gate
				sizes = append(sizes, len(batch))
			},
		}
		go g.Add(0)
		synctest.Wait()
		for v := range 5 {
			g.Add(v)
		}
		close(gate)
		synctest.Wait()
		g.Wait()
		if !slices.Equal(sizes, []int{1, 2, 2, 1}) {
			t.Errorf("the batches are of %v", sizes)
		}
	})
}

// A batch does not change when values are added while it is being committed.
func TestBatchIsTheCommittersOwn(t *testing.T) {
	g := Group[int]{Limit: func([]int) int { return 1 }}
	var committed []int
	g.Commit = func(batch []int) {
		if batch[0] < 3 {
			g.Add(batch[0] + 1)
			g.Add(batch[0] + 1)
		}
		if len(batch) != 1 || cap(batch) != 1 {
			t.Errorf("a batch of %d has room for %d", len(batch), cap(batch))
		}
		committed = append(committed, batch...)
	}
	g.Add(0)
	g.Wait()
	if want := []int{0, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3}; !slices.Equal(committed, want) {
		t.Errorf("committed %v", committed)
	}
}

// Nothing is lost or committed twice, no two commits run at a time, and values
// of one goroutine keep their order.
func TestUnderLoad(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		goroutines := rapid.IntRange(1, 8).Draw(t, "goroutines")
		each := rapid.IntRange(1, 50).Draw(t, "values of each")
		limit := rapid.IntRange(1, 20).Draw(t, "values in a batch")

		type value struct{ from, n int }
		var (
			committing sync.Mutex
			committed  []value
			adding     sync.WaitGroup
			overlaps   bool
		)
		g := Group[value]{
			Limit: func(waiting []value) int { return min(len(waiting), limit) },
			Commit: func(batch []value) {
				if !committing.TryLock() {
					overlaps = true
					return
				}
				committed = append(committed, batch...)
				committing.Unlock()
			},
		}
		for from := range goroutines {
			adding.Go(func() {
				for n := range each {
					g.Add(value{from, n})
				}
			})
		}
		adding.Wait()
		g.Wait()
		if overlaps {
			t.Fatal("two commits ran at a time")
		}
		next := make([]int, goroutines)
		for _, v := range committed {
			if v.n != next[v.from] {
				t.Fatalf("goroutine %d: value %d came where %d was due", v.from, v.n, next[v.from])
			}
			next[v.from]++
		}
		for from, n := range next {
			if n != each {
				t.Fatalf("goroutine %d: %d of %d values were committed", from, n, each)
			}
		}
	})
}

// No timer is involved: a single value is committed even while time stands still.
func TestNeedsNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		done := make(chan struct{})
		g := Group[int]{Limit: all, Commit: func([]int) { close(done) }}
		go g.Add(1)
		<-done
		if !time.Now().Equal(began) {
			t.Errorf("it waited for %s", time.Since(began))
		}
	})
}
