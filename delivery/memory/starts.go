package memory

import (
	"context"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// TakeStart takes the next start of a webhook with a RateLimit.
func (s *Store) TakeStart(_ context.Context, ref delivery.WebhookRef, free bool) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.webhooks[ref]
	if w == nil {
		return 0, delivery.ErrNotFound
	}
	now := s.Now()
	if in := w.starts.In(now.UnixMicro()); free && w.RateLimit != nil && in > 0 {
		return in, nil
	}
	return w.takeStart(now), nil
}

// mayStart says whether a delivery may be leased, for a start that comes soon.
func (w *webhook) mayStart(now time.Time) bool {
	return w.RateLimit == nil || w.starts.Free(w.RateLimit, now.UnixMicro()) > 0
}

// takeStart takes the next start, and says in how long it is.
func (w *webhook) takeStart(now time.Time) time.Duration {
	if w.RateLimit == nil {
		return 0
	}
	return time.UnixMicro(w.starts.Take(w.RateLimit, now.UnixMicro(), 1)).Sub(now.Truncate(time.Microsecond))
}

// lookIn is how long until it is worth looking at the webhook, as far as its limit goes.
func (w *webhook) lookIn(now time.Time) time.Duration {
	return time.UnixMicro(w.starts.LookAt()).Sub(now)
}
