package embedded

import (
	"bytes"
	"container/heap"
	"encoding/binary"
	"slices"
	"sort"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// patience is how many rows a page skips: those of deleted webhooks, and those that a filter does not
// select.
const patience = 2000

// log reads the page from the log of the tenant or the webhook. It merges the newest rows of
// each event type and status until the page is full.
func (p *pageReader) log() readStep {
	of, eventType, ok := p.which()
	if !ok {
		return func(*view, *int) (bool, error) { return false, nil }
	}
	scan := newKindScan(of, eventType)
	scan.status, scan.first, scan.before = p.filter.Status, p.first, p.before
	examined := 0
	return func(tx *view, left *int) (more bool, err error) {
		p.tx = tx
		if !scan.step(tx, left) {
			return true, nil
		}
		for ; len(scan.kinds) > 0; examined++ {
			if len(p.page.Requests) == p.filter.Limit || examined == patience+p.filter.Limit || p.looked.Far() {
				p.page.Next = p.before
				return false, nil
			}
			if *left <= 0 {
				return true, nil
			}
			id := scan.kinds[0].id
			if err := p.add(id, left); err != nil {
				return false, err
			}
			p.before = id
			if scan.kinds[0].next(scan) {
				heap.Fix(&scan.kinds, 0)
			} else {
				heap.Pop(&scan.kinds)
			}
		}
		return false, nil
	}
}

// mostKinds is how many event types and statuses can have rows of a page, or skipped ones.
const mostKinds = delivery.MaxPage + patience

// kindScan finds the event types and statuses in a log, each at its newest row that may be on
// the page.
type kindScan struct {
	status        delivery.RequestStatus
	first, before uuid.UUID
	prefix, from  []byte
	kinds         kindHeap // a heap once all are found
	found         bool     // all
	log           bucket   // of this step
	number        int      // of this step
}

// newKindScan scans a log for one event type, or 0 for all.
func newKindScan(of scope, eventType uint32) *kindScan {
	prefix := of[:]
	if eventType != 0 {
		prefix = binary.BigEndian.AppendUint32(slices.Clone(prefix), eventType)
	}
	return &kindScan{prefix: prefix, from: prefix, before: uuid.Max}
}

// step finds some of them, and reports whether all are found.
func (c *kindScan) step(tx *view, left *int) bool {
	c.log = tx.bucket(logBucket)
	c.number++ // what cursors had is not valid any more
	if c.found {
		return true
	}
	for finder := c.log.cursor(); *left > 0; *left -= 2 {
		k, _ := finder.Seek(c.from)
		if !bytes.HasPrefix(k, c.prefix) {
			c.found = true
			c.trim(mostKinds)
			heap.Init(&c.kinds)
			return true
		}
		kind := logKind{prefix: slices.Clone(k[:kindSize])}
		if c.status == "" || c.status == record.Status(kind.prefix[kindSize-1] == 1) {
			if kind.seek(c, c.before) {
				c.kinds = append(c.kinds, &kind)
			}
		}
		c.from = append(slices.Clone(kind.prefix), uuid.Max[:]...)
		c.from = append(c.from, 0) // after the last row of the kind
	}
	c.trim(2 * mostKinds)
	return false
}

// trim leaves those with the newest rows, if there are more than some number.
func (c *kindScan) trim(most int) {
	if len(c.kinds) <= most {
		return
	}
	slices.SortFunc(c.kinds, func(a, b *logKind) int { return bytes.Compare(b.id[:], a.id[:]) })
	clear(c.kinds[mostKinds:])
	c.kinds = c.kinds[:mostKinds]
}

// logKind is a position among the rows of one event type and status.
type logKind struct {
	step       int // in which the cursor was made
	prefix     []byte
	entries    cursor
	key, value []byte     // of the next entry
	left       []spanRows // of the span of id, the one with the newest row last
	id         uuid.UUID
}

// spanRows are the first n rows of an entry, which are in their order.
type spanRows struct {
	key, value []byte
	n          int
}

// at is the id of a row.
func (r *spanRows) at(i int) []byte {
	if i == 0 {
		return r.key[kindSize:]
	}
	return r.value[(i-1)*idSize : i*idSize]
}

func (r *spanRows) last() []byte { return r.at(r.n - 1) }

// seek moves to the newest row before a given one.
func (k *logKind) seek(c *kindScan, before uuid.UUID) bool {
	k.step, k.left, k.entries = c.number, nil, c.log.cursor()
	k.entries.Seek(append(slices.Clone(k.prefix), before[:]...))
	k.key, k.value = k.entries.Prev()
	k.readSpan(&before)
	return k.next(c)
}

// next moves to the row before; false if there is none, or none from first on.
func (k *logKind) next(c *kindScan) bool {
	if k.step != c.number {
		return k.seek(c, k.id)
	}
	if len(k.left) == 0 {
		k.readSpan(nil)
	}
	end := len(k.left) - 1
	if end < 0 {
		return false
	}
	newest := k.left[end]
	k.id = uuid.UUID(newest.last())
	if newest.n--; newest.n == 0 {
		k.left = k.left[:end]
	} else { // the entry goes to where its next row belongs
		i := sort.Search(end, func(i int) bool { return bytes.Compare(k.left[i].last(), newest.last()) > 0 })
		copy(k.left[i+1:], k.left[i:end])
		k.left[i] = newest
	}
	return bytes.Compare(k.id[:], c.first[:]) >= 0
}

// readSpan reads the next entries, which have the rows of one span: those before a given one
// if there is one. It copies and sorts no rows, since a page may need few of many.
func (k *logKind) readSpan(before *uuid.UUID) {
	var span uint64
	for len(k.key) == logKeySize && bytes.HasPrefix(k.key, k.prefix) {
		at := packedLog.span(k.key)
		if len(k.left) > 0 && at != span {
			break
		}
		span = at
		r := spanRows{k.key, k.value, 1 + len(k.value)/idSize}
		if before != nil {
			r.n = sort.Search(r.n, func(i int) bool { return bytes.Compare(r.at(i), before[:]) >= 0 })
		}
		k.left = append(k.left, r)
		k.key, k.value = k.entries.Prev()
	}
	slices.SortFunc(k.left, func(a, b spanRows) int { return bytes.Compare(a.last(), b.last()) })
}

// kindHeap is ordered by the kinds' rows, the newest first.
type kindHeap []*logKind

func (h *kindHeap) Len() int { return len(*h) }

func (h *kindHeap) Less(i, j int) bool {
	return bytes.Compare((*h)[i].id[:], (*h)[j].id[:]) > 0
}

func (h *kindHeap) Swap(i, j int) { (*h)[i], (*h)[j] = (*h)[j], (*h)[i] }

// Push is for the heap package.
func (h *kindHeap) Push(x any) { *h = append(*h, x.(*logKind)) }

// Pop is for the heap package.
func (h *kindHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
