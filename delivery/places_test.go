package delivery

import "testing"

// An emit weighs what it has to remember.
func TestWeight(t *testing.T) {
	const size = 1 << 20
	events := []NewEvent{{Data: make([]byte, size)}, {Data: make([]byte, size)}}
	if got := weigh(events); got < 2*size || got > 2*size+emitWeight {
		t.Errorf("%d bytes weigh %d", 2*size, got)
	}
}

func TestPlaces(t *testing.T) {
	p := newPlaces(10, 6)
	want := func(ok bool, tenant string, n int) {
		t.Helper()
		if got := p.take(tenant, n); got != ok {
			t.Errorf("%s takes %d of %d: %t, want %t", tenant, n, p.inAll-p.taken, got, ok)
		}
	}
	want(true, "a", 6)
	want(false, "a", 1) // all that one may
	want(true, "b", 4)
	want(false, "c", 1) // all there are
	p.give("b", 4)
	want(true, "c", 4)
	p.give("a", 6)
	want(true, "a", 6)
	p.give("a", 6)
	p.give("c", 4)
	want(true, "d", 100) // alone
	want(false, "e", 1)
	p.give("d", 100)
	if p.taken != 0 || len(p.byTenant) != 0 {
		t.Errorf("%d are taken, by %v", p.taken, p.byTenant)
	}
}
