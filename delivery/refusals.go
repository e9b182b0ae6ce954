package delivery

import (
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

const (
	// tellRefusedEvery is how often the log says of a tenant that a request was refused, at
	// most.
	tellRefusedEvery = time.Minute
	maxRefusedTold   = 1000 // tenants
)

// refusals are the tenants of which the log said lately that a request was refused.
type refusals struct {
	mu   sync.Mutex
	told map[string]time.Time
}

// tell logs that a request was refused by the configuration, if it was. Tenants are told by
// which rule, and the operator, who can change it, the address as well.
func (r *refusals) tell(w *Webhook, cause error, log *zap.Logger) {
	var refused *sender.RefusedError
	if !errors.As(cause, &refused) || !r.due(w.Tenant, time.Now()) {
		return
	}
	fields := []zap.Field{
		zap.String("tenant", w.Tenant), zap.Stringer("webhook_id", w.ID),
		zap.String("reason", refused.Rule), zap.String("host", refused.Host),
	}
	if refused.Addr.IsValid() {
		fields = append(fields, zap.Stringer("address", refused.Addr))
	}
	log.Warn("a request was refused, since destinations do not allow it; others of this tenant are not logged for a minute", fields...)
}

// due says whether to log now for a tenant.
func (r *refusals) due(tenant string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last, ok := r.told[tenant]; ok && now.Sub(last) < tellRefusedEvery {
		return false
	}
	if r.told == nil || len(r.told) >= maxRefusedTold {
		r.told = make(map[string]time.Time)
	}
	r.told[tenant] = now
	return true
}
