package delivery

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// slotsModel drives slots as the dispatcher does: one claim at a time, any
// number of sends, in any order. It keeps its own books, far simpler.
type slotsModel struct {
	slots *slots
	refs  []WebhookRef
	now   time.Time

	taken    []taken // reserved or admitted, not begun
	sending  []*sending
	promised *Room // of the claim that runs
}

// taken is a slot for a request that has not begun.
type taken struct {
	ref  WebhookRef
	slow bool
}

func drawSlots(t *rapid.T) *slotsModel {
	total := rapid.IntRange(2, 24).Draw(t, "total")
	m := &slotsModel{
		slots: newSlots(total, rapid.IntRange(1, total).Draw(t, "per webhook")),
		now:   time.Unix(0, 0),
	}
	for i := range 5 {
		m.refs = append(m.refs, WebhookRef{"t", uuid.UUID{byte(i)}})
	}
	return m
}

func (m *slotsModel) reserve(t *rapid.T) {
	ref := rapid.SampledFrom(m.refs).Draw(t, "ref")
	free, lane := m.slots.free(), m.slots.lanes[ref]
	room := min(firstWindow, m.slots.perWebhook)
	if lane != nil {
		room = m.slots.room(lane)
	}
	got := m.slots.reserve(ref)
	if want := free > 0 && room > 0; got != want {
		t.Fatalf("reserve is %t with %d slots free and room for %d", got, free, room)
	}
	if got {
		m.taken = append(m.taken, taken{ref, false})
	} else if lane := m.slots.lanes[ref]; lane != nil && !lane.backlog {
		t.Fatal("the lane does not know that a delivery waits")
	}
}

func (m *slotsModel) cancel(t *rapid.T) {
	if len(m.taken) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.taken)-1).Draw(t, "which")
	m.slots.cancel(m.taken[i].ref, m.taken[i].slow)
	m.taken = slices.Delete(m.taken, i, i+1)
}

func (m *slotsModel) begin(t *rapid.T) {
	if len(m.taken) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.taken)-1).Draw(t, "which")
	ref, slow := m.taken[i].ref, m.taken[i].slow
	r := m.slots.begin(ref, slow, m.now)
	if r.slow != slow {
		t.Fatalf("a send that is slow: %t has begun as %+v in %+v", slow, r, r.lane)
	}
	m.sending = append(m.sending, r)
	m.taken = slices.Delete(m.taken, i, i+1)
}

func (m *slotsModel) end(t *rapid.T) {
	if len(m.sending) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.sending)-1).Draw(t, "which")
	success := rapid.Bool().Draw(t, "success")
	r := m.sending[i]
	lane, before := r.lane, *r.lane
	m.slots.end(r, success)
	m.sending = slices.Delete(m.sending, i, i+1)

	switch {
	case success && lane.slow:
		t.Fatal("a success left its lane slow")
	case !success && (lane.slow != before.slow || lane.window != before.window):
		t.Fatalf("a failure made %+v of %+v", *lane, before)
	case lane.window > max(before.window, m.slots.perWebhook) || lane.window > before.window+1:
		t.Fatalf("the window grew from %d to %d", before.window, lane.window)
	case success && before.inFlight > before.window/2 && before.window < m.slots.perWebhook && lane.window != before.window+1:
		t.Fatalf("a window in use stayed at %d", lane.window)
	case before.inFlight <= before.window/2 && lane.window > before.window:
		t.Fatalf("a window of %d grew with %d in flight", before.window, before.inFlight)
	}
}

func (m *slotsModel) age(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 1200).Draw(t, "ms")) * time.Millisecond)
	var want time.Time
	var turns []*sending
	for _, r := range m.sending {
		due := r.began.Add(slowAfter)
		if r.slow {
			continue
		}
		if !due.After(m.now) {
			turns = append(turns, r)
		} else if want.IsZero() || due.Before(want) {
			want = due
		}
	}
	next := m.slots.age(m.now)
	for _, r := range turns {
		if !r.slow || !r.lane.slow {
			t.Fatalf("a send of %s has not turned slow with its webhook", m.now.Sub(r.began))
		}
	}
	if !next.Equal(want) {
		t.Fatalf("the next turns slow at %s, not %s", want, next)
	}
}

func (m *slotsModel) promise(t *rapid.T) {
	if m.promised != nil || m.slots.free() <= 0 {
		return // the dispatcher claims only when there is room
	}
	free, slowFree := m.slots.free(), m.slots.slowFree()
	rooms := make(map[WebhookRef]int)
	for ref, lane := range m.slots.lanes {
		rooms[ref] = m.slots.room(lane)
	}
	room := m.slots.promise()
	switch {
	case room.Fast < 0 || room.Slow < 0 || room.Fast+room.Slow != free:
		t.Fatalf("%d slots are free, promised are %+v", free, room)
	case room.Slow > slowFree:
		t.Fatalf("%d slots are free for the slow, promised are %+v", slowFree, room)
	case room.PerWebhook < 1 || room.PerWebhook > m.slots.perWebhook:
		t.Fatalf("%d for a webhook", room.PerWebhook)
	case len(room.Webhooks) != len(rooms):
		t.Fatalf("promised are %v, of %v", room.Webhooks, rooms)
	}
	for ref, n := range rooms {
		if room.Webhooks[ref] != n {
			t.Fatalf("promised are %v, of %v", room.Webhooks, rooms)
		}
		if n == 0 && !m.slots.lanes[ref].backlog {
			t.Fatal("a lane that was passed over does not know")
		}
	}
	m.promised = &room
}

func (m *slotsModel) settle(t *rapid.T) {
	if m.promised == nil {
		return
	}
	room := *m.promised
	m.promised = nil
	m.slots.settle(room)
	// What a store may answer: any jobs up to the room, by webhook and in all.
	given := make(map[WebhookRef]int)
	for range rapid.IntRange(0, room.Fast+room.Slow).Draw(t, "jobs") {
		ref := rapid.SampledFrom(m.refs).Draw(t, "ref")
		slow := rapid.Bool().Draw(t, "slow")
		most, known := room.Webhooks[ref]
		if !known {
			most = room.PerWebhook
		}
		left := &room.Fast
		if slow {
			left, most = &room.Slow, min(most, 1)
		}
		if *left == 0 || given[ref] >= most {
			continue
		}
		*left--
		given[ref]++
		if m.slots.admit(ref, slow) {
			m.taken = append(m.taken, taken{ref, slow})
			if slow && !m.slots.lanes[ref].slow {
				t.Fatal("a slow job left its lane fast")
			}
		} else if lane := m.slots.lanes[ref]; lane == nil || lane.inFlight < m.slots.perWebhook {
			t.Fatalf("a job within its room was turned away: %+v", lane)
		}
	}
}

// check compares the two sets of books.
func (m *slotsModel) check(t *rapid.T) {
	s := m.slots
	inFlight, slow, lanes := len(m.taken)+len(m.sending), 0, make(map[WebhookRef]int)
	for _, slot := range m.taken {
		lanes[slot.ref]++
		if slot.slow {
			slow++
		}
	}
	fast := make(map[*sending]bool)
	for _, r := range m.sending {
		lanes[r.ref]++
		if r.slow {
			slow++
		} else {
			fast[r] = true
		}
		if s.lanes[r.ref] != r.lane {
			t.Fatal("a send is in a lane that was forgotten")
		}
	}
	switch {
	case s.inFlight != inFlight:
		t.Fatalf("it counts %d in flight, not %d", s.inFlight, inFlight)
	case s.inFlight+s.claiming > s.total:
		t.Fatalf("%d in flight and %d promised, of %d", s.inFlight, s.claiming, s.total)
	case s.slow != slow:
		t.Fatalf("it counts %d slow, not %d", s.slow, slow)
	case m.promised == nil && s.claiming != 0:
		t.Fatalf("%d are promised to no claim", s.claiming)
	case m.promised != nil && s.claiming != m.promised.Fast+m.promised.Slow:
		t.Fatalf("%d are promised by %+v", s.claiming, *m.promised)
	}
	for ref, l := range s.lanes {
		promised := 0
		if m.promised != nil {
			promised = m.promised.Webhooks[ref]
		}
		switch {
		case l.inFlight != lanes[ref]:
			t.Fatalf("a lane counts %d in flight, not %d", l.inFlight, lanes[ref])
		case l.inFlight > s.perWebhook:
			t.Fatalf("%d in flight for a webhook, of %d", l.inFlight, s.perWebhook)
		case l.claiming != promised:
			t.Fatalf("a lane counts %d promised, not %d", l.claiming, promised)
		case l.inFlight == 0 && l.claiming == 0:
			t.Fatal("a lane with nothing in it is not forgotten")
		}
		delete(lanes, ref)
	}
	if len(lanes) > 0 {
		t.Fatalf("no lanes for %v", lanes)
	}
	// The list of what may turn slow is whole, both ways, and in order.
	var last *sending
	for r := s.oldest; r != nil; r = r.newer {
		if !fast[r] || r.older != last || last != nil && r.began.Before(last.began) {
			t.Fatalf("the list of fast sends is broken at %+v", r)
		}
		delete(fast, r)
		last = r
	}
	if s.newest != last || len(fast) > 0 {
		t.Fatalf("the list of fast sends lacks %d", len(fast))
	}
}

func TestSlotsAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawSlots(t)
		t.Repeat(map[string]func(*rapid.T){
			"reserve":       m.reserve,
			"reserve more":  m.reserve,
			"cancel":        m.cancel,
			"begin":         m.begin,
			"begin another": m.begin,
			"end":           m.end,
			"age":           m.age,
			"promise":       m.promise,
			"settle":        m.settle,
			"":              m.check,
		})
		// Whatever went on: when all has ended, nothing is left.
		if m.promised != nil {
			m.slots.settle(*m.promised)
		}
		for _, slot := range m.taken {
			m.slots.cancel(slot.ref, slot.slow)
		}
		for _, r := range m.sending {
			m.slots.end(r, true)
		}
		s := m.slots
		if s.inFlight != 0 || s.slow != 0 || s.claiming != 0 || len(s.lanes) != 0 || s.oldest != nil || s.newest != nil {
			t.Fatalf("after all has ended: %+v", s)
		}
	})
}

// Lower limits, as a reload may bring, end nothing, but nothing begins before
// there is room again.
func TestSlotsWithLowerLimits(t *testing.T) {
	ref := WebhookRef{"t", uuid.UUID{1}}
	s := newSlots(8, 4)
	var sends []*sending
	for s.reserve(ref) {
		sends = append(sends, s.begin(ref, false, time.Unix(0, 0)))
	}
	if len(sends) != 4 {
		t.Fatalf("%d were reserved", len(sends))
	}
	s.total, s.perWebhook = 2, 1
	for _, r := range sends {
		if s.reserve(ref) || s.reserve(WebhookRef{"t", uuid.UUID{2}}) && s.inFlight > 2 {
			t.Fatalf("%d in flight, of 2", s.inFlight)
		}
		s.end(r, true)
		if s.slowFree() < 0 {
			t.Fatalf("%d slots are free for the slow", s.slowFree())
		}
	}
}

// A webhook begins with a few requests; each success of a window in use lets one
// more in, up to the limit.
func TestWindowGrows(t *testing.T) {
	ref := WebhookRef{"t", uuid.UUID{1}}
	s := newSlots(64, 8)
	var sends []*sending
	fill := func() {
		for s.reserve(ref) {
			sends = append(sends, s.begin(ref, false, time.Unix(0, 0)))
		}
	}
	for _, want := range []int{4, 5, 6, 7, 8, 8, 8} {
		fill()
		if len(sends) != want {
			t.Fatalf("%d in flight, not %d", len(sends), want)
		}
		s.end(sends[0], true)
		sends = sends[1:]
	}
	for len(sends) > 1 {
		s.end(sends[0], false)
		sends = sends[1:]
	}
	if fill(); len(sends) != 8 {
		t.Errorf("failures shut the window to %d", len(sends))
	}
}

// One request that hangs makes its webhook slow: one at a time until a success.
func TestSlowLaneGoesOneAtATime(t *testing.T) {
	ref, other := WebhookRef{"t", uuid.UUID{1}}, WebhookRef{"t", uuid.UUID{2}}
	s := newSlots(16, 8)
	began := time.Unix(0, 0)
	s.reserve(ref)
	hanging := s.begin(ref, false, began)
	if next := s.age(began.Add(slowAfter - 1)); !next.Equal(began.Add(slowAfter)) || hanging.slow {
		t.Fatalf("slow after %s", slowAfter-1)
	}
	if next := s.age(began.Add(slowAfter)); !next.IsZero() || !hanging.slow {
		t.Fatalf("not slow after %s", slowAfter)
	}
	if s.reserve(ref) {
		t.Error("a second request to a slow webhook")
	}
	if !s.reserve(other) {
		t.Error("another webhook was held up")
	}
	if room := s.promise(); room.Webhooks[ref] != 0 || room.Webhooks[other] != firstWindow-1 {
		t.Errorf("promised are %+v", room)
	} else {
		s.settle(room)
	}
	s.end(hanging, true)
	for range 2 {
		if !s.reserve(ref) {
			t.Error("after a success it is still slow")
		}
	}
}

// However many slow deliveries are due, half of the slots stay for the others.
func TestSlowShareHalfOfTheSlots(t *testing.T) {
	s := newSlots(16, 8)
	webhook := byte(0)
	for range 20 { // none of them has begun when the next is claimed
		room := s.promise()
		s.settle(room)
		for range room.Slow {
			webhook++
			if !s.admit(WebhookRef{"t", uuid.UUID{webhook}}, true) {
				t.Fatalf("turned away with %d slots free", s.free())
			}
		}
	}
	if s.slow != 8 {
		t.Errorf("the slow have %d of 16 slots", s.slow)
	}
	if room := s.promise(); room.Fast != 8 || room.Slow != 0 {
		t.Errorf("promised are %+v", room)
	}
}
