package delivery

import (
	"iter"
	"slices"

	"github.com/google/uuid"
)

// listPart is how many subscriptions a part of a list has when the list is made. A part has twice
// as many at most.
const listPart = 3 * MaxWebhookPage

// subscriptionList has subscriptions in the order of older, in parts of which none is empty. It
// never changes: what follows from it by a change shares all parts but one. So a change of one of
// 10,000 copies 3 KB and not 80 KB, which would have the garbage collector run all the time.
type subscriptionList struct {
	parts  [][]*subscription
	length int
}

// newSubscriptionList makes a list of subscriptions in their order, and keeps them.
func newSubscriptionList(sorted []*subscription) subscriptionList {
	l := subscriptionList{length: len(sorted)}
	for part := range slices.Chunk(sorted, listPart) {
		l.parts = append(l.parts, part)
	}
	return l
}

// all are the subscriptions, oldest first.
func (l *subscriptionList) all() iter.Seq[*subscription] {
	return func(yield func(*subscription) bool) {
		for _, part := range l.parts {
			for _, of := range part {
				if !yield(of) {
					return
				}
			}
		}
	}
}

// ids are those of the webhooks, oldest first.
func (l *subscriptionList) ids() []uuid.UUID {
	ids := make([]uuid.UUID, 0, l.length)
	for of := range l.all() {
		ids = append(ids, of.id)
	}
	return ids
}

// find finds the subscription to a webhook, nil if there is none. It looks at all.
func (l *subscriptionList) find(id uuid.UUID) *subscription {
	for of := range l.all() {
		if of.id == id {
			return of
		}
	}
	return nil
}

// like finds the subscription to the same webhook as another, nil if there is none.
func (l *subscriptionList) like(of *subscription) *subscription {
	if part, at, found := l.place(of); found {
		return l.parts[part][at]
	}
	return l.find(of.id)
}

// place is where a subscription is, or belongs.
func (l *subscriptionList) place(of *subscription) (part, at int, found bool) {
	part, found = slices.BinarySearchFunc(l.parts, of, func(p []*subscription, of *subscription) int { return older(p[0], of) })
	if found {
		return part, 0, true
	}
	if part == 0 {
		return 0, 0, false
	}
	part--
	at, found = slices.BinarySearchFunc(l.parts[part], of, older)
	return part, at, found
}

// with is the list with one more.
func (l *subscriptionList) with(of *subscription) subscriptionList {
	if l.length == 0 {
		return newSubscriptionList([]*subscription{of})
	}
	n, at, _ := l.place(of)
	old := l.parts[n]
	part := make([]*subscription, 0, len(old)+1)
	part = append(append(append(part, old[:at]...), of), old[at:]...)
	if len(part) <= 2*listPart {
		return l.replace(n, l.length+1, part)
	}
	return l.replace(n, l.length+1, part[:listPart:listPart], part[listPart:])
}

// without is the list without one of its subscriptions.
func (l *subscriptionList) without(of *subscription) subscriptionList {
	n, at, found := l.place(of)
	if !found {
		return *l
	}
	old := l.parts[n]
	if len(old) == 1 {
		return l.replace(n, l.length-1)
	}
	part := make([]*subscription, 0, len(old)-1)
	part = append(append(part, old[:at]...), old[at+1:]...)
	return l.replace(n, l.length-1, part)
}

// replace is a list with parts in the place of one.
func (l *subscriptionList) replace(n, length int, by ...[]*subscription) subscriptionList {
	next := subscriptionList{length: length, parts: make([][]*subscription, 0, len(l.parts)+1)}
	next.parts = append(append(append(next.parts, l.parts[:n]...), by...), l.parts[n+1:]...)
	if len(next.parts) > 4*(length/listPart+1) { // where many were removed, few are left in a part
		return newSubscriptionList(slices.AppendSeq(make([]*subscription, 0, length), next.all()))
	}
	return next
}

// restOfList is what is left of a list that is taken from one of its ends.
type restOfList struct {
	newestFirst bool
	now         []*subscription // of the part that is being taken
	parts       [][]*subscription
}

// rest is what is left of a list of which nothing has been taken.
func (l *subscriptionList) rest(newestFirst bool) restOfList {
	return restOfList{newestFirst: newestFirst, parts: l.parts}
}

// behind is what is left behind a place.
func (l *subscriptionList) behind(place *subscription, newestFirst bool) restOfList {
	n, at, found := l.place(place)
	switch {
	case l.length == 0:
		return restOfList{}
	case newestFirst:
		return restOfList{newestFirst, l.parts[n][:at], l.parts[:n]}
	case found:
		at++
	}
	return restOfList{newestFirst, l.parts[n][at:], l.parts[n+1:]}
}

func (r *restOfList) isEmpty() bool { return len(r.now) == 0 && len(r.parts) == 0 }

// take takes the next ones, up to n, which are not to be changed. There is one at least unless it is
// empty.
func (r *restOfList) take(n int) (some []*subscription) {
	last := len(r.parts) - 1
	switch {
	case len(r.now) > 0 || last < 0:
	case r.newestFirst:
		r.now, r.parts = r.parts[last], r.parts[:last]
	default:
		r.now, r.parts = r.parts[0], r.parts[1:]
	}
	n = min(n, len(r.now))
	if !r.newestFirst {
		some, r.now = r.now[:n:n], r.now[n:]
		return some
	}
	at := len(r.now) - n
	some, r.now = slices.Clone(r.now[at:]), r.now[:at]
	slices.Reverse(some)
	return some
}
