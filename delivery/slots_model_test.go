package delivery

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// slotsModel drives slots as the dispatcher does: one claim at a time in each partition,
// and any number of sends, in any order. It counts for itself, in a much simpler way.
type slotsModel struct {
	slots *slots
	refs  []WebhookRef
	own   map[WebhookRef]int // their Concurrency
	now   time.Time

	taken   []taken // places reserved or admitted, and not in a queue yet
	waiting []*sending
	sending []*sending
	claims  []modelClaim // by partition
}

// modelClaim is the claim in a partition.
type modelClaim struct {
	under    *promise // what it was promised, if one is under way
	withdraw bool     // that was taken back before its answer
	turns    turns
}

// promised is what is set aside for a partition's claim.
func (c *modelClaim) promised() promise {
	if c.under == nil || c.withdraw {
		return promise{}
	}
	return *c.under
}

// taken is a place for a delivery that has not come yet.
type taken struct {
	ref   WebhookRef
	slow  bool
	bytes int
}

func drawSlots(t *rapid.T) *slotsModel {
	total := rapid.IntRange(2, 24).Draw(t, "total")
	partitions := rapid.IntRange(1, 3).Draw(t, "partitions")
	m := &slotsModel{
		slots:  newSlots(total, rapid.IntRange(1, total).Draw(t, "per webhook")),
		own:    make(map[WebhookRef]int),
		now:    time.Unix(0, 0),
		claims: make([]modelClaim, partitions),
	}
	m.slots.setPartitions(partitions, func(tenant string) int { return int(tenant[0] - 'a') })
	for i := range 6 {
		ref := WebhookRef{string(rune('a' + i%partitions)), uuid.UUID{byte(i)}}
		m.refs = append(m.refs, ref)
		m.own[ref] = max(0, rapid.IntRange(-8, 2*total).Draw(t, "concurrency of its own"))
	}
	return m
}

func (m *slotsModel) draw(t *rapid.T) taken {
	return taken{
		ref:   rapid.SampledFrom(m.refs).Draw(t, "ref"),
		bytes: rapid.SampledFrom([]int{0, 500, maxAheadBytes}).Draw(t, "bytes"),
	}
}

// most is how many slots a webhook may have.
func (m *slotsModel) most(ref WebhookRef) int {
	if own := m.own[ref]; own > 0 {
		return own
	}
	return m.slots.perWebhook
}

func (m *slotsModel) reserve(t *rapid.T) {
	place := m.draw(t)
	free, lane := m.slots.free(), m.slots.lane(place.ref)
	slots := min(firstWindow, m.most(place.ref))
	places := slots
	if lane != nil {
		places, slots = m.slots.room(lane)
	}
	got := m.slots.reserve(place.ref, m.own[place.ref], place.bytes)
	want := slots > 0 && free > 0 || slots == 0 && places > 0
	if got != want {
		t.Fatalf("reserve is %t with %d slots free and room for %d in slots, %d in all", got, free, slots, places)
	}
	if got {
		m.taken = append(m.taken, place)
	} else if lane := m.slots.lane(place.ref); lane != nil && !lane.backlog {
		t.Fatal("the lane does not know that a delivery waits in the store")
	}
}

// pick removes a random element of a list.
func pick[T any](t *rapid.T, list *[]T) (one T, ok bool) {
	if len(*list) == 0 {
		return one, false
	}
	i := rapid.IntRange(0, len(*list)-1).Draw(t, "which")
	one = (*list)[i]
	*list = slices.Delete(*list, i, i+1)
	return one, true
}

func (m *slotsModel) cancel(t *rapid.T) {
	if place, ok := pick(t, &m.taken); ok {
		m.slots.cancel(m.slots.lane(place.ref), place.slow, place.bytes)
	}
}

func (m *slotsModel) enqueue(t *rapid.T) {
	if place, ok := pick(t, &m.taken); ok {
		m.put(place, rapid.IntRange(0, 3).Draw(t, "early") == 0)
	}
}

func (m *slotsModel) put(place taken, early bool) {
	w := &sending{early: early, Job: Job{
		Webhook: &Webhook{Tenant: place.ref.Tenant, ID: place.ref.ID}, Slow: place.slow,
		Event: &Event{Payload: make([]byte, place.bytes)},
	}}
	m.slots.enqueue(w)
	m.waiting = append(m.waiting, w)
}

func (m *slotsModel) start(t *rapid.T) {
	l := m.slots.lane(rapid.SampledFrom(m.refs).Draw(t, "ref"))
	if l == nil {
		return
	}
	first := slices.IndexFunc(m.waiting, func(w *sending) bool { return w.lane == l })
	may := first >= 0 && !m.waiting[first].early && l.inFlight < m.slots.limit(l) && m.slots.inFlight < m.slots.total
	w := m.slots.start(l, m.now)
	switch {
	case !may && w != nil:
		t.Fatal("a request started without a slot")
	case may && (w != m.waiting[first] || w.slow != w.Slow || !w.began.Equal(m.now)):
		t.Fatalf("what waited first has not started: %+v", w)
	case may:
		m.waiting = slices.Delete(m.waiting, first, first+1)
		m.sending = append(m.sending, w)
	}
}

func (m *slotsModel) finish(t *rapid.T) {
	w, ok := pick(t, &m.sending)
	if !ok {
		return
	}
	success := rapid.Bool().Draw(t, "success")
	lane, before, free := w.lane, *w.lane, m.slots.free()
	m.slots.finish(w, success, m.now)
	m.slots.inFlight++ // as finish saw it
	crowded := m.slots.isCrowded(lane)
	m.slots.inFlight--

	switch {
	case lane.pace.took <= 0:
		t.Fatal("nothing is known of how long requests take")
	case success && lane.slow:
		t.Fatal("a success left its lane slow")
	case lane.window < before.window && (!success || !crowded || before.inFlight <= before.window/2 || lane.window < min(firstWindow, before.window)):
		t.Fatalf("the window shrank from %d to %d", before.window, lane.window)
	case !success && (lane.slow != before.slow || lane.window != before.window):
		t.Fatalf("a failure made %+v of %+v", *lane, before)
	case lane.window > max(before.window, m.most(lane.ref)) || lane.window > before.window+1:
		t.Fatalf("the window grew from %d to %d", before.window, lane.window)
	case success && free > 0 && !before.slow && before.inFlight > before.window/2 && before.window < m.most(lane.ref) && lane.window == before.window && !crowded:
		t.Fatalf("a window in use stayed at %d", lane.window)
	case (free <= 0 || before.inFlight <= before.window/2) && lane.window > before.window:
		t.Fatalf("a window of %d grew with %d in flight", before.window, before.inFlight)
	}
}

// abandon has a request not made after all.
func (m *slotsModel) abandon(t *rapid.T) {
	if w, ok := pick(t, &m.sending); ok {
		m.slots.abandon(w)
	}
}

func (m *slotsModel) empty(t *rapid.T) {
	l := m.slots.lane(rapid.SampledFrom(m.refs).Draw(t, "ref"))
	if l == nil {
		return
	}
	var want []*sending
	m.waiting = slices.DeleteFunc(m.waiting, func(w *sending) bool {
		if w.lane == l {
			want = append(want, w)
		}
		return w.lane == l
	})
	if got := m.slots.empty(l); !slices.Equal(got, want) {
		t.Fatalf("%d came out of the queue, not %d", len(got), len(want))
	}
}

func (m *slotsModel) age(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 1200).Draw(t, "ms")) * time.Millisecond)
	var want time.Time
	var turns []*sending
	for _, w := range m.sending {
		due := w.began.Add(slowAfter)
		if w.slow {
			continue
		}
		if !due.After(m.now) {
			turns = append(turns, w)
		} else if want.IsZero() || due.Before(want) {
			want = due
		}
	}
	waited, next := m.slots.age(m.now)
	for _, w := range turns {
		if !w.slow || !w.lane.slow || len(w.lane.waiting) > 0 {
			t.Fatalf("a send has not turned slow with its webhook after %s", m.now.Sub(w.began))
		}
	}
	for _, w := range waited {
		if !w.lane.slow || !w.lane.backlog {
			t.Fatal("a lane gave up a delivery that it could send")
		}
		m.waiting = slices.DeleteFunc(m.waiting, func(other *sending) bool { return other == w })
	}
	if !next.Equal(want) {
		t.Fatalf("the next send is to turn slow at %s, not %s", next, want)
	}
}

func (m *slotsModel) promise(t *rapid.T) {
	partition := rapid.IntRange(0, len(m.claims)-1).Draw(t, "partition")
	claim, likely := &m.claims[partition], rapid.Bool().Draw(t, "likely")
	if claim.under != nil || m.slots.free() <= 0 {
		return // the dispatcher claims only when there is room
	}
	free, slowFree, freeAhead := m.slots.free(), m.slots.slowFree(), m.slots.freeAhead()
	rooms := make(map[WebhookRef]int)
	for ref, lane := range m.slots.partitions[partition].of {
		rooms[ref], _ = m.slots.room(lane)
	}
	p := m.slots.promise(partition, likely, &claim.turns)
	most := half(free)
	if !likely {
		most, freeAhead = 1, 0
	}
	switch {
	case p.Fast < 0 || p.Slow < 0 || p.slots != most || p.Fast+p.Slow != p.slots+p.ahead:
		t.Fatalf("%d slots are free, and the claim is promised %+v", free, p)
	case p.ahead < 0 || p.ahead > freeAhead:
		t.Fatalf("%d places are free in queues, and the claim is promised %+v", freeAhead, p)
	case p.Slow > slowFree:
		t.Fatalf("%d slots are free for the slow, and the claim is promised %+v", slowFree, p)
	case p.PerWebhook < 1 || p.PerWebhook > m.slots.perWebhook:
		t.Fatalf("the claim is promised %d for a webhook, of %d", p.PerWebhook, m.slots.perWebhook)
	case len(p.Webhooks) != len(rooms):
		t.Fatalf("the claim is promised %v, of %v", p.Webhooks, rooms)
	}
	for ref, n := range rooms {
		if p.Webhooks[ref] < 0 || p.Webhooks[ref] > half(n) {
			t.Fatalf("the claim is promised %v, of %v", p.Webhooks, rooms)
		}
		if p.Webhooks[ref] == 0 && !m.slots.lane(ref).backlog {
			t.Fatal("a lane that was passed over does not know that deliveries may wait in the store")
		}
	}
	claim.under = &p
}

// withdraw takes back what a claim was promised before its answer.
func (m *slotsModel) withdraw(t *rapid.T) {
	claim := &m.claims[rapid.IntRange(0, len(m.claims)-1).Draw(t, "partition")]
	if claim.under != nil && !claim.withdraw {
		m.slots.takeBack(*claim.under)
		claim.withdraw = true
	}
}

func (m *slotsModel) takeBack(t *rapid.T) {
	partition := rapid.IntRange(0, len(m.claims)-1).Draw(t, "partition")
	claim := &m.claims[partition]
	if claim.under == nil {
		return
	}
	p := *claim.under
	if !claim.withdraw {
		m.slots.takeBack(p)
	}
	claim.under, claim.withdraw = nil, false
	// A store may answer with any jobs within the room of each webhook and of all.
	given := make(map[WebhookRef]int)
	for range rapid.IntRange(0, p.Fast+p.Slow).Draw(t, "jobs") {
		place := m.draw(t)
		place.slow = rapid.Bool().Draw(t, "slow")
		if m.slots.partitionOf(place.ref.Tenant) != partition {
			continue
		}
		most, known := p.Webhooks[place.ref]
		if !known {
			most = p.PerWebhook
		}
		left := &p.Fast
		if place.slow {
			left, most = &p.Slow, min(most, 1)
		}
		if *left == 0 || given[place.ref] >= most {
			continue
		}
		*left--
		given[place.ref]++
		free := m.slots.free()
		if m.slots.admit(place.ref, m.own[place.ref], place.slow, place.bytes) {
			m.taken = append(m.taken, place)
			if place.slow && !m.slots.lane(place.ref).slow {
				t.Fatal("a slow job has not made its lane slow")
			}
		} else if lane := m.slots.lane(place.ref); free > 0 && (lane == nil || lane.held < m.most(place.ref)) {
			t.Fatalf("a job within its room was turned away: %+v", lane)
		}
	}
	for ref := range p.Webhooks {
		if l := m.slots.lane(ref); l != nil {
			m.slots.closeIfIdle(l)
		}
	}
}

// hasRoomAgain checks that room for deliveries left in the store is reported as soon as
// there is some, and only once.
func (m *slotsModel) hasRoomAgain(t *rapid.T) {
	l := m.slots.lane(rapid.SampledFrom(m.refs).Draw(t, "ref"))
	if l == nil {
		return
	}
	places, _ := m.slots.room(l)
	want := l.backlog && l.claiming == 0 && (l.held == 0 || places > 0 && m.slots.isRoomy(l))
	if got := m.slots.hasRoomAgain(l); got != want {
		t.Fatalf("room again is %t with a backlog %t", got, l.backlog)
	}
	if m.slots.hasRoomAgain(l) {
		t.Fatal("the same room was reported twice")
	}
}

// slowHaveRoomAgain checks the same for slow webhooks.
func (m *slotsModel) slowHaveRoomAgain(t *rapid.T) {
	var want []int
	for i := range m.slots.partitions {
		if m.slots.partitions[i].slowBacklog && m.slots.slowFree() > 0 {
			want = append(want, i)
		}
	}
	if got := m.slots.slowHaveRoomAgain(); !slices.Equal(got, want) {
		t.Fatalf("the slow have room again in the partitions %v, not %v", got, want)
	}
	if got := m.slots.slowHaveRoomAgain(); got != nil {
		t.Fatal("the same room was reported twice")
	}
}

// check compares the counts of slots with those of the model.
func (m *slotsModel) check(t *rapid.T) {
	m.slots.checkInvariants(t)
	slow, bytes, held, inFlight := 0, 0, make(map[WebhookRef]int), make(map[WebhookRef]int)
	for _, place := range m.places() {
		held[place.ref]++
		if place.slow {
			slow++
		}
		bytes += place.bytes
	}
	for _, w := range m.sending {
		inFlight[w.lane.ref]++
	}
	var p promise
	for i := range m.claims {
		promised := m.claims[i].promised()
		p.slots += promised.slots
		p.ahead += promised.ahead
	}
	s := m.slots
	switch {
	case s.inFlight != len(m.sending):
		t.Fatalf("it counts %d in flight, not %d", s.inFlight, len(m.sending))
	case s.slow != slow || s.bytes != bytes:
		t.Fatalf("it counts %d slow, not %d, and %d bytes, not %d", s.slow, slow, s.bytes, bytes)
	case s.claiming.slots != p.slots || s.claiming.ahead != p.ahead:
		t.Fatalf("it counts %+v promised, not %+v", s.claiming, p)
	}
	for l := range s.all() {
		ref, claim := l.ref, &m.claims[l.partition]
		switch {
		case l.held != held[ref] || l.inFlight != inFlight[ref]:
			t.Fatalf("a lane counts %d places and %d in flight, not %d and %d", l.held, l.inFlight, held[ref], inFlight[ref])
		case l.claiming != claim.promised().Webhooks[ref]:
			t.Fatalf("a lane counts %d promised, not %d", l.claiming, claim.promised().Webhooks[ref])
		case l.held == 0 && claim.under == nil:
			t.Fatal("a lane with nothing in it is still remembered")
		}
		delete(held, ref)
	}
	if len(held) > 0 {
		t.Fatalf("there are no lanes for %v", held)
	}
	m.checkAging(t)
}

// places are all places that are taken. A delivery in flight no longer counts its bytes.
func (m *slotsModel) places() []taken {
	all := slices.Clone(m.taken)
	for _, w := range m.waiting {
		all = append(all, taken{ref: w.lane.ref, slow: w.slow, bytes: len(w.Event.Payload)})
	}
	for _, w := range m.sending {
		all = append(all, taken{ref: w.lane.ref, slow: w.slow})
	}
	return all
}

// checkAging checks that the list of sends that may turn slow has all of them.
func (m *slotsModel) checkAging(t *rapid.T) {
	listed := make(map[*sending]bool)
	for w := m.slots.oldest; w != nil; w = w.newer {
		listed[w] = true
	}
	for _, w := range m.sending {
		if listed[w] == w.slow {
			t.Fatalf("a send whose slow is %t is in the list of those that are not slow: %t", w.slow, listed[w])
		}
		delete(listed, w)
	}
	if len(listed) > 0 {
		t.Fatalf("%d sends in the list are not in flight", len(listed))
	}
}

func TestSlotsAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawSlots(t)
		t.Repeat(map[string]func(*rapid.T){
			"reserve":       m.reserve,
			"reserve more":  m.reserve,
			"cancel":        m.cancel,
			"enqueue":       m.enqueue,
			"enqueue more":  m.enqueue,
			"start":         m.start,
			"start another": m.start,
			"finish":        m.finish,
			"abandon":       m.abandon,
			"ripen":         m.ripen,
			"empty":         m.empty,
			"room again":    m.hasRoomAgain,
			"slow again":    m.slowHaveRoomAgain,
			"age":           m.age,
			"promise":       m.promise,
			"withdraw":      m.withdraw,
			"take back":     m.takeBack,
			"":              m.check,
		})
		// Whatever happened, nothing is left once everything has ended.
		for i := range m.claims {
			claim := &m.claims[i]
			if claim.under == nil {
				continue
			}
			if !claim.withdraw {
				m.slots.takeBack(*claim.under)
			}
			for ref := range claim.under.Webhooks {
				if l := m.slots.lane(ref); l != nil {
					m.slots.closeIfIdle(l)
				}
			}
		}
		for _, place := range m.taken {
			m.slots.cancel(m.slots.lane(place.ref), place.slow, place.bytes)
		}
		for l := range m.slots.all() {
			m.slots.empty(l)
		}
		for _, w := range m.sending {
			m.slots.finish(w, true, m.now)
		}
		s := m.slots
		if s.within != 0 || s.over != 0 || s.inFlight != 0 || s.slow != 0 || s.bytes != 0 ||
			s.claiming.slots != 0 || s.claiming.ahead != 0 || len(slices.Collect(s.all())) != 0 || s.oldest != nil || s.newest != nil {
			t.Fatalf("after everything has ended, something is left: %+v", s)
		}
	})
}
