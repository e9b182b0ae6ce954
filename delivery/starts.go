package delivery

import (
	"container/heap"
	"context"
	"time"
)

// maxLate is how long after its start a delivery of a webhook with a RateLimit may begin if others
// have all slots, or until the next start if that is later. Then it is given back: what waited for
// a slot must not go out together.
const maxLate = time.Second

// setStart says when a delivery may begin that was claimed now.
func (w *sending) setStart(now time.Time) {
	if w.Webhook.RateLimit != nil {
		w.startAt, w.early = now.Add(w.StartIn), w.StartIn > 0
	}
}

// isLate says whether a delivery has missed its start.
func (w *sending) isLate(now time.Time) bool {
	if w.startAt.IsZero() {
		return false
	}
	spacing := time.Duration(w.Webhook.RateLimit.Span(1)) * time.Microsecond
	return now.Sub(w.startAt) > max(maxLate, spacing)
}

// isNextStart says whether a delivery is the next one of its webhook, as soon as its start comes.
func (w *sending) isNextStart() bool {
	return w.early && w.lane.inFlight == 0 && w.lane.waiting[0] == w
}

// late is for how long a delivery could have been sent that begins now, by the store's clock. It
// could not while it had to wait for its start.
func (w *sending) late(now time.Time) time.Duration {
	late := now.Sub(w.Due)
	if !w.startAt.IsZero() {
		late = min(late, time.Since(w.startAt))
	}
	return late
}

// starts are the deliveries that wait for their start in the queues of their lanes, which is
// StartsAhead at most. Those that have left the queue stay until their start would have come. The
// dispatcher guards it with its lock.
type starts struct {
	waiting startQueue
	timer   *time.Timer // for the first one
}

// add adds a delivery if it waits for its start.
func (s *starts) add(w *sending) {
	if !w.early {
		return
	}
	if heap.Push(&s.waiting, w); s.waiting[0] == w {
		s.timer.Reset(time.Until(w.startAt))
	}
}

// startDue starts what may begin now.
func (d *dispatcher) startDue() {
	d.lock()
	defer d.unlock()
	now, waiting := time.Now(), &d.starts.waiting
	for waiting.Len() > 0 && !(*waiting)[0].startAt.After(now) {
		w := heap.Pop(waiting).(*sending)
		if !w.early {
			continue
		}
		d.slots.ripen(w)
		if next := d.startNext(w.lane, now); next != nil {
			d.starting = append(d.starting, next)
		}
	}
	if waiting.Len() > 0 {
		d.starts.timer.Reset((*waiting)[0].startAt.Sub(now))
	}
}

// startQueue has the next start first.
type startQueue []*sending

func (q *startQueue) Len() int           { return len(*q) }
func (q *startQueue) Less(i, j int) bool { return (*q)[i].startAt.Before((*q)[j].startAt) }
func (q *startQueue) Swap(i, j int)      { (*q)[i], (*q)[j] = (*q)[j], (*q)[i] }

// Push is for the heap package.
func (q *startQueue) Push(x any) { *q = append(*q, x.(*sending)) }

// Pop is for the heap package.
func (q *startQueue) Pop() any {
	last := len(*q) - 1
	w := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return w
}

// countStart takes a start of a webhook with a RateLimit for a request that does not wait for it: a
// re-run or a test. What is on the schedule waits for the one behind.
func (e *Engine) countStart(ctx context.Context, w *Webhook) error {
	if w.RateLimit == nil {
		return nil
	}
	_, err := e.store.TakeStart(ctx, w.Ref(), false)
	return err
}
