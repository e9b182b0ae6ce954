package delivery

import (
	"fmt"
	"testing"
)

// take has a tenant take all units that it gets.
func (s *shares) take(tenant string) (taken int) {
	for s.acquire(tenant, 1) {
		taken++
	}
	return taken
}

// TestShares has tenants that take all they get.
func TestShares(t *testing.T) {
	s := newShares(64, 16, 3)
	for i, want := range []int{16, 16, 16, 8, 4, 2, 1, 1, 1, 1, 1, 0} {
		if got := s.take(fmt.Sprint(i)); got != want {
			t.Errorf("tenant %d gets %d, want %d", i, got, want)
		}
	}
	s.release("0", 16)
	if got := s.take("new"); got != 6 {
		t.Errorf("once 16 are back, a new tenant gets %d", got)
	}
	s.release("1", 16)
	if got := s.take("0"); got != 11 {
		t.Errorf("once 16 more are back, the first tenant gets %d", got)
	}
}

// TestSharesOfOne has a tenant that is alone, and asks for more than there is.
func TestSharesOfOne(t *testing.T) {
	s := newShares(10, 6, 2)
	if !s.acquire("a", 100) {
		t.Error("whoever is alone gets nothing")
	}
	if s.acquire("b", 1) {
		t.Error("another gets what is not there")
	}
	s.release("a", 100)
	if s.used != 0 || len(s.byTenant) != 0 {
		t.Errorf("%d are used in the end, by %v", s.used, s.byTenant)
	}
}
