package delivery

import "sync"

// quota bounds what is in progress at the same time, in all and for each tenant.
type quota struct {
	total     int
	perTenant int

	mu       sync.Mutex
	used     int
	byTenant map[string]int
}

func newQuota(total, perTenant int) *quota {
	return &quota{total: total, perTenant: perTenant, byTenant: make(map[string]int)}
}

// acquire takes n units; false if too few are left. Whoever is alone always gets what
// they ask for, even if it is more than the bound.
func (q *quota) acquire(tenant string, n int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.used > 0 && q.used+n > q.total || q.byTenant[tenant] > 0 && q.byTenant[tenant]+n > q.perTenant {
		return false
	}
	q.used += n
	q.byTenant[tenant] += n
	return true
}

// release gives back what was acquired.
func (q *quota) release(tenant string, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.used -= n
	if q.byTenant[tenant] -= n; q.byTenant[tenant] == 0 {
		delete(q.byTenant, tenant)
	}
}
