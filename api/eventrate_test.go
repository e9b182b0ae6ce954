package api

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestEventRate has tenants that may emit 10 events in 10 s.
func TestEventRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewEventRate()
		limits := &TenantLimits{Events: 10, EventsPer: 10 * time.Second}
		want := func(tenant string, n, left int, wait time.Duration) {
			t.Helper()
			if q := r.take(tenant, n, limits, true); q.left != left || q.wait != wait {
				t.Errorf("%d events of %s: got %+v", n, tenant, q)
			}
		}
		want("a", 7, 3, 0)
		want("a", 4, 3, time.Second)
		want("b", 10, 0, 0)
		time.Sleep(1500 * time.Millisecond)
		want("a", 5, 4, 500*time.Millisecond)
		want("a", 4, 0, 0)
		want("b", 1, 0, 0)
		want("a", -10, 10, 0) // taken back
		want("a", 10, 0, 0)
		if q := r.take("a", 1, limits, false); q.wait != time.Second {
			t.Errorf("got %+v", q)
		}
		limits = &TenantLimits{Events: 1, EventsPer: time.Second} // by a reload
		want("a", 1, 0, time.Second)
		time.Sleep(time.Second)
		want("a", 1, 0, 0)

		for i := range 10_000 {
			r.take(fmt.Sprint(i), 1, limits, true)
			time.Sleep(time.Millisecond)
		}
		if n := len(r.full); n > 3000 {
			t.Errorf("%d tenants are remembered, of whom 1,000 count", n)
		}
	})
}
