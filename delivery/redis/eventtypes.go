package redis

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

var noteTypesScript = loadScript("note_types")

// NoteEventTypes notes types of events, all of them or none.
func (s *Store) NoteEventTypes(ctx context.Context, tenant string, types []string, retention time.Duration) error {
	p, err := s.at(tenant)
	if err != nil {
		return err
	}
	args := make([]any, 0, 4+len(types))
	args = append(args, tenant, (retention + delivery.EventGrace).Milliseconds(), delivery.MaxEventTypes, s.lookUps.left(tenant))
	for _, name := range types {
		args = append(args, name)
	}
	reply, err := s.run(ctx, noteTypesScript, p.base, args...)
	switch {
	case err != nil:
		return err
	case len(reply) != 3:
		return errUnknownReply
	}
	if looked, _ := reply[2].(int64); looked > 0 {
		s.lookUps.use(tenant, int(looked))
	}
	if reply[1] != int64(1) {
		return delivery.ErrTooManyEventTypes
	}
	return nil
}

const (
	// maxLookUps is how many event types of a tenant that has the most are looked for in its log,
	// in case they are no new ones; then one more for each lookUpEvery. Each takes a range of each
	// day, and who is refused may ask as often as they like.
	maxLookUps  = 100
	lookUpEvery = 100 * time.Millisecond
	// minLookUpTenants is how many tenants are known before those are forgotten that may have
	// maxLookUps again.
	minLookUpTenants = 1000
)

// lookUps knows how many types of each tenant were looked for lately.
type lookUps struct {
	mu    sync.Mutex
	full  map[string]time.Time // when the tenant may have maxLookUps again
	sweep int                  // how many there may be before some are forgotten
}

// left is how many a tenant may have now.
func (l *lookUps) left(tenant string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	used := int((time.Until(l.full[tenant]) + lookUpEvery - 1) / lookUpEvery)
	return maxLookUps - min(max(used, 0), maxLookUps)
}

// use counts those that a tenant had. Calls at the same time may have had more than are left.
func (l *lookUps) use(tenant string, n int) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full == nil {
		l.full = make(map[string]time.Time)
	}
	full := l.full[tenant]
	if full.Before(now) {
		full = now
	}
	l.full[tenant] = full.Add(time.Duration(n) * lookUpEvery)
	if len(l.full) > max(l.sweep, minLookUpTenants) {
		maps.DeleteFunc(l.full, func(_ string, full time.Time) bool { return full.Before(now) })
		l.sweep = 2 * len(l.full)
	}
}
