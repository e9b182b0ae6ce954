package delivery

import "sync"

// places bounds what is under way at the same time.
type places struct {
	inAll  int // how much may be
	ofEach int // of which one tenant

	mu       sync.Mutex
	taken    int
	byTenant map[string]int
}

func newPlaces(inAll, ofEach int) *places {
	return &places{inAll: inAll, ofEach: ofEach, byTenant: make(map[string]int)}
}

// take takes so many; false if there are too few. More than there ever are can be had
// by who is alone.
func (p *places) take(tenant string, n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken > 0 && p.taken+n > p.inAll || p.byTenant[tenant] > 0 && p.byTenant[tenant]+n > p.ofEach {
		return false
	}
	p.taken += n
	p.byTenant[tenant] += n
	return true
}

// give gives back what was taken.
func (p *places) give(tenant string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken -= n
	if p.byTenant[tenant] -= n; p.byTenant[tenant] == 0 {
		delete(p.byTenant, tenant)
	}
}
