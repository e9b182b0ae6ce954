package embedded

import "container/heap"

// queue has the enabled webhooks with pending deliveries, in the order in which they must
// be looked at: by when their first delivery is due or, if it is overdue, in turn.
type queue []*webhook

func (q *queue) Len() int { return len(*q) }

func (q *queue) Less(i, j int) bool {
	a, b := (*q)[i], (*q)[j]
	return a.at < b.at || a.at == b.at && a.turn < b.turn
}

func (q *queue) Swap(i, j int) {
	all := *q
	all[i], all[j] = all[j], all[i]
	all[i].place, all[j].place = i, j
}

// Push is for the heap package.
func (q *queue) Push(x any) {
	w := x.(*webhook)
	w.place = len(*q)
	*q = append(*q, w)
}

// Pop is for the heap package.
func (q *queue) Pop() any {
	old := *q
	w := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	w.place = noPlace
	return w
}

// noPlace is the place of a webhook that is in no queue.
const noPlace = -1

// set puts a webhook in its place, or removes it if it is not wanted.
func (q *queue) set(w *webhook, wanted bool) {
	switch {
	case wanted && w.place == noPlace:
		heap.Push(q, w)
	case wanted:
		heap.Fix(q, w.place)
	case w.place != noPlace:
		heap.Remove(q, w.place)
	}
}
