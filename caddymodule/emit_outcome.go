package caddymodule

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// outcome is what has become of an answer that is an event.
type outcome string

const (
	outcomeEmitted     outcome = "emitted"
	outcomeNotJSON     outcome = "not_json"     // emitted, as the text that it is
	outcomeTooLarge    outcome = "too_large"    // than max_size or max_event_size
	outcomeUnknownType outcome = "unknown_type" // named by a header
	outcomeInvalid     outcome = "invalid"      // as the API would refuse it
	outcomeIncomplete  outcome = "incomplete"   // the body broke off
	outcomeStream      outcome = "stream"       // which strict cannot wait for
	outcomeDropped     outcome = "dropped"      // lost for want of memory, or at a stop
	outcomeNotStored   outcome = "not_stored"   // answered with 502
)

// outcomes lists them all.
var outcomes = []outcome{
	outcomeEmitted, outcomeNotJSON, outcomeTooLarge, outcomeUnknownType, outcomeInvalid,
	outcomeIncomplete, outcomeStream, outcomeDropped, outcomeNotStored,
}

// outcomeLog says once a minute at most for each outcome that there were events with it.
type outcomeLog struct {
	mu   sync.Mutex
	last map[outcome]time.Time
	held map[outcome]int // events since then
}

// due counts an event, and returns how many the log has to tell of now, 0 for none.
func (l *outcomeLog) due(of outcome) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last, l.held = make(map[outcome]time.Time), make(map[outcome]int)
	}
	l.held[of]++
	now := time.Now()
	if last, told := l.last[of]; told && now.Sub(last) < time.Minute {
		return 0
	}
	n := l.held[of]
	l.held[of], l.last[of] = 0, now
	return n
}

// forget has the log told again of what comes next.
func (l *outcomeLog) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.held = nil, nil
}

// rest returns how many events with an outcome the log has not told of yet.
func (l *outcomeLog) rest(of outcome) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.held[of]
	delete(l.held, of)
	return n
}

// incompleteID stands for an id that lacks a part, in what the log has been told.
const incompleteID outcome = "incomplete id"

// noteID counts an event whose id lacked the text of a placeholder.
func (q *gatewayQueue) noteID(eventType, placeholder string) {
	metrics.gatewayIDs.Inc()
	if n := q.outcomes.due(incompleteID); n > 0 {
		q.log().Warn("the id of an event from traffic lacked a part, so that it has a new one: if its request is repeated, it is another event",
			zap.Int("events", n), zap.String("event_type", shortened(eventType)), zap.String("placeholder", placeholder))
	}
}

// note counts an event, and tells the log if it was not emitted.
func (q *gatewayQueue) note(of outcome, eventType, tenant string, err error) {
	metrics.gateway.WithLabelValues(string(of)).Inc()
	if of == outcomeEmitted {
		return
	}
	n := q.outcomes.due(of)
	if n == 0 {
		return
	}
	log := q.log().With(zap.Int("events", n), zap.String("event_type", shortened(eventType)), zap.String("tenant", shortened(tenant)), zap.Error(err))
	switch of {
	case outcomeNotJSON:
		log.Info("a body is no JSON object: its event has it as a text")
	case outcomeDropped:
		log.Error("events from traffic were lost")
	case outcomeNotStored:
		log.Error("an event from traffic could not be stored: its client was answered with 502")
	case outcomeIncomplete, outcomeStream:
		log.Warn("an answer is no event: its body did not come to an end that it could be stored with", zap.String("outcome", string(of)))
	default:
		log.Warn("an answer is no event", zap.String("outcome", string(of)))
	}
}
