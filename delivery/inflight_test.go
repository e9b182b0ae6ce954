package delivery

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
)

// cancelled is a context that has ended: wait returns at once with it.
func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestInFlightWithoutWorkIsIdle(t *testing.T) {
	if !newInFlight().wait(t.Context()) {
		t.Error("not idle although nothing has started")
	}
}

func TestInFlightWaitsForAllWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newInFlight()
		f.add()
		f.add()
		idle := make(chan bool, 1)
		go func() { idle <- f.wait(t.Context()) }()

		f.done()
		synctest.Wait()
		select {
		case <-idle:
			t.Fatal("idle while work goes on")
		default:
		}
		if f.wait(cancelled()) {
			t.Error("idle while work goes on, to a caller who does not wait")
		}
		f.done()
		if !<-idle {
			t.Error("not idle after all work has ended")
		}
	})
}

func TestInFlightCanBeUsedAgain(t *testing.T) {
	f := newInFlight()
	for range 3 {
		ctx, ok := f.add()
		if !ok || ctx.Err() != nil {
			t.Fatalf("add: %t, %v", ok, ctx.Err())
		}
		if f.wait(cancelled()) {
			t.Error("idle while work goes on")
		}
		f.done()
		if !f.wait(t.Context()) {
			t.Error("not idle after the work has ended")
		}
	}
}

func TestInFlightAbort(t *testing.T) {
	f := newInFlight()
	before, _ := f.add()
	f.abort()
	after, ok := f.add()
	switch {
	case before.Err() == nil:
		t.Error("work in progress was not aborted")
	case !ok || after.Err() != nil:
		t.Error("work that began later was aborted")
	}
	f.done()
	if f.wait(cancelled()) {
		t.Error("idle although the second goes on")
	}
	f.abort()
	if after.Err() == nil {
		t.Error("a second abort did nothing")
	}
	f.done()
	if !f.wait(t.Context()) {
		t.Error("not idle in the end")
	}
}

func TestInFlightClose(t *testing.T) {
	f := newInFlight()
	ctx, _ := f.add()
	f.close()
	if _, ok := f.add(); ok {
		t.Error("work started after it was closed")
	}
	if ctx.Err() != nil {
		t.Error("closing aborted work")
	}
	if f.wait(cancelled()) {
		t.Error("idle while work goes on")
	}
	f.done()
	if !f.wait(t.Context()) {
		t.Error("not idle in the end")
	}
}

// Waiting while work begins and ends has no race, and comes to an end.
func TestInFlightUnderLoad(t *testing.T) {
	f := newInFlight()
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for range 1000 {
				if _, ok := f.add(); ok {
					f.done()
				}
				f.wait(cancelled())
			}
		})
	}
	workers.Go(func() {
		for range 100 {
			f.abort()
		}
	})
	workers.Wait()
	if !f.wait(t.Context()) {
		t.Error("not idle in the end")
	}
}
