package delivery

import "sync"

// quota bounds what is in progress at the same time, in all and for each partition.
type quota struct {
	total  int
	perKey int

	mu    sync.Mutex
	used  int
	byKey map[string]int
}

func newQuota(total, perKey int) *quota {
	return &quota{total: total, perKey: perKey, byKey: make(map[string]int)}
}

// acquire takes n units; false if too few are left. Whoever is alone always gets what
// they ask for, even if it is more than the bound.
func (q *quota) acquire(key string, n int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.used > 0 && q.used+n > q.total || q.byKey[key] > 0 && q.byKey[key]+n > q.perKey {
		return false
	}
	q.used += n
	q.byKey[key] += n
	return true
}

// release gives back what was acquired.
func (q *quota) release(key string, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.used -= n
	if q.byKey[key] -= n; q.byKey[key] == 0 {
		delete(q.byKey, key)
	}
}
