// Package clockstep says in the log that a clock was set.
package clockstep

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// Least is from how much on a clock counts as set. What is less may be due to how it
	// was read, and harms nobody.
	Least = 5 * time.Second
	// every is how often the log says so at most: a step may be seen in many places.
	every = time.Minute
)

// Notice says in the log that a clock was set.
type Notice struct {
	Log *zap.Logger
	// Whose names the clock, and begins the sentence.
	Whose string

	mu   sync.Mutex
	said time.Time
}

// Tell says by how much the clock was set, unless that was said a moment ago.
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
