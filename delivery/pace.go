package delivery

import "time"

// paceTime is how long the quickest request is remembered.
const paceTime = 10 * time.Second

// pace is how long the requests of a lane take.
type pace struct {
	took time.Duration // moving average; 0 before the first has ended
	// The shortest since the given time, and in the period before that.
	quickest, before time.Duration
	since            time.Time
}

func (p *pace) note(now time.Time, took time.Duration) {
	if p.took == 0 {
		p.took, p.quickest, p.before, p.since = took, took, took, now
		return
	}
	p.took += (took - p.took) / 8
	if now.Sub(p.since) > paceTime {
		p.before, p.quickest, p.since = p.quickest, took, now
	}
	p.quickest = min(p.quickest, took)
}
