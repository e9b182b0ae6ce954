package chaos

import (
	"fmt"
	"time"

	"github.com/google/uuid"
)

// effect is what may happen because of a fault, though nothing is lost.
type effect int

const (
	// repeats: what was sent may be sent again.
	repeats effect = 1 << iota
	// forgets: the log may have no row for what was sent.
	forgets
	// drops: what is not acknowledged may be gone, although it was sent.
	drops

	// failover: another server goes on with what it has.
	failover = repeats | forgets | drops
)

// aftermath is how long after its end a fault still has effects: until connections and
// leases from before have ended.
const aftermath = 5 * time.Second

// fault is something that a scenario did.
type fault struct {
	what       string
	effects    effect
	begin, end time.Time
}

// verdict is what an audit has found.
type verdict struct {
	acknowledged, refused, unknown int // events

	lost       int // acknowledged events that are not stored, have not ended or have not arrived
	duplicates int // requests that were answered 2xx, after another one of the same delivery
	wrong      []string
}

// judge compares what was seen of events with what the API says of them.
type judge struct {
	webhooks map[uuid.UUID]int // the number of each webhook within its tenant
	fanOut   int               // how many webhooks an event has
	faults   []fault
	// forgiven: what was emitted before that may be lost.
	forgiven time.Time
	// mayLose: the store does not promise to keep what is acknowledged.
	mayLose bool

	verdict
}

func (j *judge) complain(id uuid.UUID, format string, args ...any) {
	j.wrong = append(j.wrong, "event "+id.String()+" "+fmt.Sprintf(format, args...))
}

// event judges one event. stored is nil if the API has no such event, and rows are those of
// the log for it.
func (j *judge) event(id uuid.UUID, e *event, stored *storedEvent, rows []row) {
	forgiven := !e.first.After(j.forgiven)
	switch {
	case !e.acknowledged.IsZero():
		j.acknowledged++
		if e.accepted > 1 && !forgiven {
			j.complain(id, "was accepted %d times", e.accepted)
		}
		if why := j.missing(e, stored); why != "" && !forgiven {
			j.lost++
			if !j.mayLose {
				j.complain(id, "was acknowledged, and %s", why)
			}
		}
	case e.unknown:
		j.unknown++
		if stored == nil && len(e.arrivals) > 0 && !j.explained(drops, e.first, time.Now()) && !forgiven {
			j.complain(id, "was sent, and is not stored")
		}
		if stored != nil {
			if why := j.missing(e, stored); why != "" && !forgiven {
				j.complain(id, "is stored, and %s", why)
			}
		}
	default:
		j.refused++
		if stored != nil || len(e.arrivals) > 0 {
			j.complain(id, "was refused, and yet it is stored (%t) or sent (%d times)", stored != nil, len(e.arrivals))
		}
	}
	if !forgiven {
		j.log(id, e, stored, rows)
	}
}

// missing says what has not become of an event that is or should be stored, or "".
func (j *judge) missing(e *event, stored *storedEvent) string {
	if stored == nil {
		return "is not stored"
	}
	want := j.fanOut
	if e.accepted > 0 {
		want = e.receipt.Deliveries
	}
	if want != j.fanOut && j.forgiven.IsZero() {
		return fmt.Sprintf("its receipt says %d deliveries, not %d", want, j.fanOut)
	}
	if len(stored.Deliveries) != want {
		return fmt.Sprintf("has %d deliveries, not %d", len(stored.Deliveries), want)
	}
	for _, d := range stored.Deliveries {
		if !ended(d) {
			return fmt.Sprintf("a delivery is still %s after %d attempts", d.Status, d.Attempts)
		}
		if len(e.at(j.webhooks[d.WebhookID])) == 0 {
			return fmt.Sprintf("a delivery that is %s never arrived", d.Status)
		}
	}
	return ""
}

func ended(d delivery) bool { return d.Status == "success" || d.Status == "failed" }

// log compares the rows of an event with what has arrived.
func (j *judge) log(id uuid.UUID, e *event, stored *storedEvent, rows []row) {
	if stored == nil {
		if len(rows) > 0 && !j.mayLose {
			j.complain(id, "has %d rows in the log, and is not stored", len(rows))
		}
		return
	}
	for _, d := range stored.Deliveries {
		arrivals := e.at(j.webhooks[d.WebhookID])
		all, answered, succeeded := count(rows, d.WebhookID)
		taken := j.duplicate(id, arrivals)
		switch {
		case answered > len(arrivals) || succeeded > taken:
			j.complain(id, "has %d rows with an answer and %d of success, and only %d requests arrived, %d with success", answered, succeeded, len(arrivals), taken)
		case all < len(arrivals) && !j.explained(forgets, arrivals[0].at, time.Now()):
			j.complain(id, "has %d rows, and %d requests arrived", all, len(arrivals))
		case d.Status == "success" && succeeded == 0 && !j.mayLose:
			j.complain(id, "has a delivery with success, and no such row")
		}
	}
}

// count counts the rows of a webhook: all, those with an answer, and those of success.
func count(rows []row, webhook uuid.UUID) (all, answered, succeeded int) {
	for i := range rows {
		r := &rows[i]
		if r.WebhookID != webhook {
			continue
		}
		all++
		if r.StatusCode != nil {
			answered++
		}
		if r.Status == "success" {
			succeeded++
		}
	}
	return all, answered, succeeded
}

// duplicate counts the requests of a delivery that were answered 2xx. Something must
// explain each one after the first.
func (j *judge) duplicate(id uuid.UUID, arrivals []arrival) (taken int) {
	var last time.Time
	for _, a := range arrivals {
		if a.status/100 != 2 {
			continue
		}
		if taken++; taken > 1 {
			j.duplicates++
			if !j.explained(repeats, last, a.at) {
				j.complain(id, "was sent again %s after it had arrived, and nothing explains that", a.at.Sub(last).Round(time.Millisecond))
			}
		}
		last = a.at
	}
	return taken
}

// explained reports whether some fault can have had an effect between two moments.
func (j *judge) explained(by effect, from, to time.Time) bool {
	for _, f := range j.faults {
		if f.effects&by != 0 && f.begin.Before(to) && f.end.Add(aftermath).After(from) {
			return true
		}
	}
	return false
}
