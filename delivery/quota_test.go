package delivery

import "testing"

// An emit weighs as much as it keeps in memory.
func TestWeight(t *testing.T) {
	const size = 1 << 20
	events := []NewEvent{{Data: make([]byte, size)}, {Data: make([]byte, size)}}
	if got := weigh(events); got < 2*size || got > 2*size+emitWeight {
		t.Errorf("%d bytes weigh %d", 2*size, got)
	}
}

func TestQuota(t *testing.T) {
	q := newQuota(10, 6)
	want := func(ok bool, tenant string, n int) {
		t.Helper()
		if got := q.acquire(tenant, n); got != ok {
			t.Errorf("%s acquires %d of %d: %t, want %t", tenant, n, q.total-q.used, got, ok)
		}
	}
	want(true, "a", 6)
	want(false, "a", 1) // has all that one tenant may have
	want(true, "b", 4)
	want(false, "c", 1) // nothing is left
	q.release("b", 4)
	want(true, "c", 4)
	q.release("a", 6)
	want(true, "a", 6)
	q.release("a", 6)
	q.release("c", 4)
	want(true, "d", 100) // is alone
	want(false, "e", 1)
	q.release("d", 100)
	if q.used != 0 || len(q.byKey) != 0 {
		t.Errorf("%d are used in the end, by %v", q.used, q.byKey)
	}
}
