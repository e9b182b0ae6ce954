package chaos

import (
	"sync"
	"time"

	"github.com/google/uuid"
)

// ledger is what emitters and receiver have seen: each event with the answers to it and its
// requests, and each call.
type ledger struct {
	epoch uint32 // named by the ids of its events

	mu     sync.Mutex
	events map[uuid.UUID]*event
	calls  []call
	wrong  []string // answers and requests that must not be, as sentences
}

// event is what was seen of one event.
type event struct {
	tenant int
	first  time.Time // when it was first emitted

	acknowledged time.Time // when the first 202 came; zero if none did
	receipt      receipt   // the first one that is no duplicate's, or else the first one
	accepted     int       // how many receipts said that it was new
	unknown      bool      // whether the outcome of some call with it is unknown

	arrivals []arrival
}

// arrival is one request to an endpoint.
type arrival struct {
	webhook int // its number within the tenant
	at      time.Time
	status  int // of the answer
}

// call is one call to emit events.
type call struct {
	tenant     int
	begin, end time.Time
	outcome    outcome
}

// outcome is what an answer to an emit says became of the events.
type outcome int

const (
	acknowledged outcome = iota
	refused              // nothing of the call is stored
	unknown              // it may be stored or not
)

func newLedger(epoch uint32) *ledger {
	return &ledger{epoch: epoch, events: make(map[uuid.UUID]*event)}
}

// emitting notes that events are about to be emitted for the first time.
func (l *ledger) emitting(tenant int, ids []uuid.UUID) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		l.events[id] = &event{tenant: tenant, first: now}
	}
}

// answered notes the answer to a call that emitted the events.
func (l *ledger) answered(c call, ids []uuid.UUID, a answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.outcome = a.outcome
	l.calls = append(l.calls, c)
	if a.wrong != "" {
		l.wrong = append(l.wrong, a.wrong)
	}
	for i, id := range ids {
		e := l.events[id]
		switch a.outcome {
		case unknown:
			e.unknown = true
		case acknowledged:
			e.take(a.receipts[i], c.end)
		case refused:
		}
	}
}

func (e *event) take(r receipt, at time.Time) {
	if !r.Duplicate {
		e.accepted++
	}
	if e.acknowledged.IsZero() || e.receipt.Duplicate {
		e.receipt = r
	}
	if e.acknowledged.IsZero() {
		e.acknowledged = at
	}
}

// arrived notes a request to an endpoint, and chooses the status of the answer. Each
// tenant's first webhook always takes what it gets. The second one fails the first request
// of an eighth of the events, and all requests of a sixteenth.
func (l *ledger) arrived(id uuid.UUID, tenant, webhook int) (status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.events[id]
	if e == nil || e.tenant != tenant {
		l.wrong = append(l.wrong, "an endpoint of tenant "+tenantName(tenant)+" got event "+id.String()+", which nobody has emitted there")
		return 204
	}
	status = 204
	switch chance := id[len(id)-1] % 16; {
	case webhook == 0:
	case chance == 0:
		status = 500
	case chance <= 2 && len(e.at(webhook)) == 0:
		status = 500
	}
	e.arrivals = append(e.arrivals, arrival{webhook, time.Now(), status})
	return status
}

// at returns the arrivals at one webhook.
func (e *event) at(webhook int) (arrivals []arrival) {
	for _, a := range e.arrivals {
		if a.webhook == webhook {
			arrivals = append(arrivals, a)
		}
	}
	return arrivals
}
