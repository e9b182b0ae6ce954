package delivery

import "sync"

// shares divides among tenants what may be in progress at the same time, so that none of
// them takes it from the others. A tenant has at most as much as it leaves free; what is
// kept back is for those who have nothing yet.
type shares struct {
	total    int // for all
	most     int // for one tenant
	keptBack int // beside total

	mu       sync.Mutex
	used     int
	byTenant map[string]int
}

func newShares(total, most, keptBack int) *shares {
	return &shares{total: total, most: most, keptBack: keptBack, byTenant: make(map[string]int)}
}

// acquire takes n units; false if too few are left. Whoever is alone always gets what they
// ask for, even if it is more than there is.
func (s *shares) acquire(tenant string, n int) bool { return s.acquireUpTo(tenant, n, s.most) }

// acquireUpTo is acquire for a tenant that may have less than others.
func (s *shares) acquireUpTo(tenant string, n, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := s.total - s.used - n
	switch has := s.byTenant[tenant]; {
	case s.used == 0:
	case has == 0 && left+s.keptBack < 0:
		return false
	case has > 0 && has+n > min(most, s.most, left):
		return false
	}
	s.used += n
	s.byTenant[tenant] += n
	return true
}

// release gives back what was acquired.
func (s *shares) release(tenant string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used -= n
	if s.byTenant[tenant] -= n; s.byTenant[tenant] == 0 {
		delete(s.byTenant, tenant)
	}
}
