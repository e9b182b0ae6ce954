package api

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// limit is what a call was refused for with 429. It is the label of a metric.
type limit string

const (
	limitBodies limit = "bodies" // of the room for bodies that are read
	limitBusy   limit = "busy"   // of what the engine does at a time
)

// Limits lists what calls can be refused for with 429, as Backend.Throttled is told.
func Limits() []string { return []string{string(limitBodies), string(limitBusy)} }

// throttleLog says once a minute at most for each limit that calls were refused.
type throttleLog struct {
	mu   sync.Mutex
	last map[limit]time.Time
}

func (l *throttleLog) due(at limit) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Sub(l.last[at]) < time.Minute {
		return false
	}
	if l.last == nil {
		l.last = make(map[limit]time.Time)
	}
	l.last[at] = now
	return true
}

// throttled tells those who look after Caddy that a call was refused at a limit.
func (a *API) throttled(tenant string, at limit) {
	if a.Throttled != nil {
		a.Throttled(string(at))
	}
	if a.throttling.due(at) {
		a.Log.Warn("calls are refused: a tenant has as much in progress as it may", zap.String("limit", string(at)), zap.String("tenant", tenant))
	}
}
