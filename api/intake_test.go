package api

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// fill takes room for a tenant, a megabyte at a time, until there is none for it.
func fill(in *Intake, tenant string) (taken int) {
	for in.takeMore(tenant, 1<<20) {
		taken++
	}
	return taken
}

// TestIntakeShares has tenants that take all they get: each gets half of what is left, and
// more once others have given something back. Small bodies need none.
func TestIntakeShares(t *testing.T) {
	in := NewIntake()
	for i, want := range []int{32, 16, 8, 4, 2, 1} {
		if got := fill(in, fmt.Sprint(i)); got != want {
			t.Errorf("%d MiB are left when the next tenant comes, which gets %d", want*2, got)
		}
	}
	in.give("0", 30<<20)
	if got := fill(in, "2"); got != 11 {
		t.Errorf("the third gets %d MiB more", got)
	}
	if got := fill(in, "0"); got != 9 {
		t.Errorf("the first gets %d MiB again", got)
	}
	for in.takeMore("new", 1) {
	}
	c := &call{Caller: Caller{Tenant: "new"}, api: &API{Backend: Backend{Intake: in}}}
	if err := errors.Join(c.takeRoom(t.Context(), smallBody), c.growRoom(smallBody)); err != nil {
		t.Error(err)
	}
	if err := c.growRoom(1 << 20); err == nil {
		t.Error("there is room for more")
	}
}

// TestIntakeWaits has bodies of a tenant wait for room: they get it in their order, and do
// not keep another tenant's from what there is for it.
func TestIntakeWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := NewIntake()
		fill(in, "a")
		done := make(chan int, 3)
		for i, size := range []int64{16 << 20, 1 << 20, 1 << 20} {
			go func() {
				if !in.take(t.Context(), "a", size) {
					t.Error("there was no room for", i)
				}
				done <- i
			}()
			synctest.Wait()
		}
		if !in.take(t.Context(), "b", 16<<20) {
			t.Error("there is no room for another tenant")
		}
		in.give("b", 16<<20)
		for in.taken["a"] > 20<<20 {
			in.give("a", 1<<20)
			synctest.Wait()
		}
		if len(done) > 0 {
			t.Error("a body did not wait for the one before it")
		}
		in.give("a", 20<<20)
		for range 3 {
			<-done
		}
		in.give("a", 18<<20)
		if in.free != intakeSize || len(in.taken)+len(in.waiting) != 0 {
			t.Errorf("left over: %+v", in)
		}
	})
}

// TestIntakeGivesUp has bodies for which there is no room in time. The one behind them needs
// less, and gets it when they are gone.
func TestIntakeGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := NewIntake()
		fill(in, "a")
		in.give("a", 2<<20)
		results := make(chan bool, 2)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { results <- in.take(ctx, "a", 16<<20) }()
		synctest.Wait()
		go func() { results <- in.take(t.Context(), "a", 1<<20) }()
		synctest.Wait()
		cancel()
		if first, second := <-results, <-results; first == second {
			t.Errorf("both got %t", first)
		}
		began := time.Now()
		if in.take(t.Context(), "a", 16<<20) || time.Since(began) != roomPatience {
			t.Errorf("waited for %s", time.Since(began))
		}
		for range maxRoomWaiting {
			go in.take(t.Context(), "a", 16<<20)
		}
		synctest.Wait()
		began = time.Now()
		if in.take(t.Context(), "a", 16<<20) || time.Since(began) > 0 {
			t.Error("more wait than may")
		}
		time.Sleep(2 * roomPatience)
		synctest.Wait()
		if len(in.waiting) > 0 {
			t.Errorf("%d still wait", len(in.waiting))
		}
	})
}
