package embedded

import (
	"context"
	"encoding/binary"
	"math"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Of one page of events: how much work it does, and about how many bytes of events it reads.
const (
	eventsWork  = 4000
	eventsBytes = 8 << 20
)

// Events reads a page of a tenant's events in the order in which they came.
func (s *Store) Events(_ context.Context, tenant string, filter delivery.EventFilter) (page delivery.EventPage, err error) {
	l := eventList{store: s, filter: &filter, page: &page, tenant: tenant}
	l.backwards = !filter.OldestFirst
	l.first, l.end = eventNumberAt(filter.Since, 0), uint64(math.MaxUint64)
	if !filter.Until.IsZero() {
		// Numbers are by the schedule's clock, which is never behind.
		l.end = eventNumberAt(filter.Until, time.Duration(s.clock.now().ahead())*time.Millisecond)
	}
	if l.at = l.first - min(l.first, 1); l.backwards {
		l.at = l.end
	}
	switch len(filter.After) {
	case 0:
	case 8:
		if after := binary.BigEndian.Uint64([]byte(filter.After)); l.backwards {
			l.at = min(l.at, after)
		} else {
			l.at = max(l.at, after)
		}
	default:
		return page, delivery.ErrUnknownPlace
	}
	s.mu.Lock()
	if s.state == nil {
		s.mu.Unlock()
		return page, errNotOpen
	}
	t := s.state.tenants[tenant]
	l.indexed = s.state.indexed
	s.mu.Unlock()
	if t == nil {
		return page, nil
	}
	l.arrivals.tenant = t.number
	return page, s.inSteps(l.step)
}

// eventNumberAt is the number of the first event that is received at a time or later.
func eventNumberAt(at time.Time, ahead time.Duration) uint64 {
	if at.IsZero() || at.Before(time.UnixMilli(0)) {
		return 0
	}
	ms := at.Add(ahead + time.Millisecond - 1).UnixMilli()
	if ms >= math.MaxInt64>>numberShift {
		return math.MaxUint64
	}
	return firstNumber(ms)
}

// eventList is one Events.
type eventList struct {
	arrivals
	store       *Store
	tenant      string
	filter      *delivery.EventFilter
	page        *delivery.EventPage
	first, end  uint64   // the numbers from which on, and before which, events may be selected
	numbers     []uint64 // that are left, before the place of the walk
	work, bytes int
	ended       bool
}

// step reads some events.
func (l *eventList) step(tx *view, left *int) (more bool, err error) {
	l.tx = tx
	for *left > 0 {
		if len(l.numbers) == 0 {
			if l.ended {
				return false, nil
			}
			var work int
			l.numbers, work, more = l.next()
			l.ended = !more
			*left -= work
			l.work += work
			if len(l.numbers) == 0 {
				if l.isFull() && more {
					l.page.Next = string(number8(l.at))
				}
				if l.isFull() || l.stops(l.at) {
					return false, nil
				}
				continue
			}
		}
		number := l.numbers[0]
		if l.stops(number) {
			return false, nil
		}
		l.numbers = l.numbers[1:]
		work := l.add(tx.bucket(eventsBucket), number)
		*left -= work
		l.work += work
		if l.isFull() {
			l.page.Next = string(number8(number))
			return false, nil
		}
	}
	return true, nil
}

// stops reports whether neither the event with a number nor those behind it can be selected.
func (l *eventList) stops(number uint64) bool {
	if l.backwards {
		return number < l.first
	}
	return number >= l.end
}

func (l *eventList) isFull() bool {
	return len(l.page.Events) >= l.filter.Limit || l.work >= eventsWork || l.bytes >= eventsBytes
}

// add adds an event if it is selected and has not expired, and says what work that was.
func (l *eventList) add(events bucket, number uint64) (work int) {
	key := number8(number)
	value := events.get(key)
	if value == nil {
		return 1
	}
	l.bytes += len(value)
	work = 1 + len(value)/bytesPerWork
	head, err := decodeEventHead(value)
	if err == nil && (head.tenant != l.arrivals.tenant || head.expires <= l.store.clock.now().wall) {
		return work
	}
	e, err := decodeEvent(l.tenant, value)
	if err != nil {
		events.undecodable(key)
		return work
	}
	if l.filter.Selects(e.Type, e.ReceivedAt) {
		l.page.Events = append(l.page.Events, delivery.ListedEvent{
			ID: e.ID, Type: e.Type, OccurredAt: e.OccurredAt, ReceivedAt: e.ReceivedAt, Deliveries: int(head.deliveries),
			Test: e.test, Place: string(key),
		})
	}
	return work
}
