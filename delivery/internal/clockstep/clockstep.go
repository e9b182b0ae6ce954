// Package clockstep logs that a clock was set.
package clockstep

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// Least is the least step by which a clock counts as set. Anything less may come from
	// reading the clock, and is harmless.
	Least = 5 * time.Second
	// every limits how often it is logged: many places may notice the same step.
	every = time.Minute
)

// Notice logs that a clock was set.
type Notice struct {
	Log *zap.Logger
	// Whose is the clock's name, such as "Redis's clock".
	Whose string

	mu   sync.Mutex
	said time.Time
}

// Tell logs by how much the clock was set, unless that was logged a moment ago.
func (n *Notice) Tell(by time.Duration) {
	if by.Abs() < Least || n.saidLately() {
		return
	}
	if by < 0 {
		n.Log.Warn(n.Whose+" was set back; deliveries fall due as if it had not been", zap.Duration("by", -by))
	} else {
		n.Log.Warn(n.Whose+" was set forward, or this machine was asleep; deliveries fall due early, and those in flight may be sent again", zap.Duration("by", by))
	}
}

func (n *Notice) saidLately() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.said.IsZero() && time.Since(n.said) < every {
		return true
	}
	n.said = time.Now()
	return false
}
