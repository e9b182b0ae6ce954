package embedded

import (
	"context"
	"math"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// TakeStart takes the next start of a webhook with a RateLimit.
func (s *Store) TakeStart(_ context.Context, ref delivery.WebhookRef, free bool) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return 0, errNotOpen
	}
	w := s.state.webhook(ref)
	if w == nil {
		return 0, delivery.ErrNotFound
	}
	now := s.clock.now().schedule
	if in := w.starts.In(microseconds(now)); free && w.record.RateLimit != nil && in > 0 {
		return in, nil
	}
	in := w.takeStarts(now, 1)
	s.state.reschedule(w, now, false)
	return in, nil
}

// microseconds are those of a time in milliseconds.
func microseconds(ms int64) int64 { return ms * time.Millisecond.Microseconds() }

// lookAt is when it is worth looking at a webhook whose first delivery is due at a time.
func (w *webhook) lookAt(first int64) int64 {
	if w.record.RateLimit == nil || first == never {
		return first
	}
	const millisecond = int64(time.Millisecond / time.Microsecond)
	return max(first, (w.starts.LookAt()+millisecond-1)/millisecond)
}

// freeStarts is how many deliveries of a webhook may be claimed for starts that come soon.
func (w *webhook) freeStarts(now int64) int {
	if w.record.RateLimit == nil {
		return math.MaxInt
	}
	return w.starts.Free(w.record.RateLimit, microseconds(now))
}

// takeStarts takes the next starts of a webhook, and says in how long the first one is.
func (w *webhook) takeStarts(now int64, n int) time.Duration {
	if w.record.RateLimit == nil || n == 0 {
		return 0
	}
	return time.Duration(w.starts.Take(w.record.RateLimit, microseconds(now), n)-microseconds(now)) * time.Microsecond
}

// spacing is how long after the first start the n-th one behind it is.
func (w *webhook) spacing(n int) time.Duration {
	if w.record.RateLimit == nil {
		return 0
	}
	return time.Duration(w.record.RateLimit.Span(n)) * time.Microsecond
}
