package delivery

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
)

// cancelled is a context that has ended: whoever waits with it only looks.
func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestTrackerWithoutWorkIsIdle(t *testing.T) {
	if !newTracker().wait(t.Context()) {
		t.Error("a new tracker is not idle")
	}
}

func TestTrackerWaitsForAllWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTracker()
		k.begin()
		k.begin()
		idle := make(chan bool, 1)
		go func() { idle <- k.wait(t.Context()) }()

		k.end()
		synctest.Wait()
		select {
		case <-idle:
			t.Fatal("idle while one goes on")
		default:
		}
		if k.wait(cancelled()) {
			t.Error("idle to one who does not wait, while one goes on")
		}
		k.end()
		if !<-idle {
			t.Error("not idle after the last has ended")
		}
	})
}

func TestTrackerCanBeUsedAgain(t *testing.T) {
	k := newTracker()
	for range 3 {
		ctx, ok := k.begin()
		if !ok || ctx.Err() != nil {
			t.Fatalf("begin: %t, %v", ok, ctx.Err())
		}
		if k.wait(cancelled()) {
			t.Error("idle while work goes on")
		}
		k.end()
		if !k.wait(t.Context()) {
			t.Error("not idle after it has ended")
		}
	}
}

func TestTrackerAbort(t *testing.T) {
	k := newTracker()
	before, _ := k.begin()
	k.abort()
	after, ok := k.begin()
	switch {
	case before.Err() == nil:
		t.Error("work in progress was not broken off")
	case !ok || after.Err() != nil:
		t.Error("work that began later was")
	}
	k.end()
	if k.wait(cancelled()) {
		t.Error("idle though the second goes on")
	}
	k.abort()
	if after.Err() == nil {
		t.Error("a second abort did nothing")
	}
	k.end()
	if !k.wait(t.Context()) {
		t.Error("not idle in the end")
	}
}

func TestTrackerClose(t *testing.T) {
	k := newTracker()
	ctx, _ := k.begin()
	k.close()
	if _, ok := k.begin(); ok {
		t.Error("work began on a closed tracker")
	}
	if ctx.Err() != nil {
		t.Error("closing broke work off")
	}
	if k.wait(cancelled()) {
		t.Error("idle while work goes on")
	}
	k.end()
	if !k.wait(t.Context()) {
		t.Error("not idle in the end")
	}
}

// Waiting while work begins and ends is no race, and ends.
func TestTrackerUnderLoad(t *testing.T) {
	k := newTracker()
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for range 1000 {
				if _, ok := k.begin(); ok {
					k.end()
				}
				k.wait(cancelled())
			}
		})
	}
	workers.Go(func() {
		for range 100 {
			k.abort()
		}
	})
	workers.Wait()
	if !k.wait(t.Context()) {
		t.Error("not idle in the end")
	}
}
