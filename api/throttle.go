package api

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// limit is what calls are refused for with 429.
type limit int

const (
	noLimit      limit = iota
	limitBodies        // room for bodies
	limitEmits         // emits in progress
	limitStreams       // streams
	limitSends         // re-runs and tests in flight
	limitEvents        // events in a time, by TenantLimits
	limitStored        // what is stored, by TenantLimits
)

// limitNames are the labels of a metric, by the limit.
var limitNames = [...]string{limitBodies: "bodies", limitEmits: "emits", limitStreams: "streams", limitSends: "sends", limitEvents: "events", limitStored: "stored"}

// Limits lists what calls can be refused for with 429, as Backend.Throttled is told.
func Limits() []string { return limitNames[limitBodies:] }

// throttleLog says once a minute at most for each limit that calls were refused.
type throttleLog struct {
	mu   sync.Mutex
	last [len(limitNames)]time.Time
}

func (l *throttleLog) due(at limit) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Sub(l.last[at]) < time.Minute {
		return false
	}
	l.last[at] = now
	return true
}

// throttled tells those who look after Caddy that a call was refused at a limit.
func (a *API) throttled(tenant string, at limit) {
	name := limitNames[at]
	if a.Throttled != nil {
		a.Throttled(name)
	}
	if a.throttling.due(at) {
		a.Log.Warn("calls are refused: a tenant has reached a limit", zap.String("limit", name), zap.String("tenant", tenant))
	}
}
