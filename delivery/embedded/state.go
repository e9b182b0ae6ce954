package embedded

import (
	"slices"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// state is what is kept in memory: a part of what the file has, and the leases. Store.mu
// guards it.
type state struct {
	tenants  map[string]*tenant
	byNumber map[uint32]*webhook
	types    map[string]uint32
	// gone has the deleted webhooks whose rows are still in the file, each with the
	// events of its deliveries that were pending.
	gone       map[uint32][]uint64
	fast, slow queue
	turns      uint64
	pending    int // deliveries on the schedule
	recent     recent
	// opened is the number of the last event when the store was opened.
	opened uint64
	// indexed is the number of the first event that is in the index of events.
	indexed uint64
	// audits has the sizes of audit logs, by the numbers of their tenants: see auditOf.
	audits map[uint32]*auditSize
	// replays has who holds the replay that is running, by tenant.
	replays map[string]*heldReplay
	// The next numbers to give out.
	nextTenant, nextType uint32
}

type tenant struct {
	name     string
	number   uint32
	version  int64 // of its webhooks
	lost     bool  // its record must be written anew
	webhooks map[uuid.UUID]*webhook
	// inOrder are the webhooks in the order of their numbers.
	inOrder []*webhook
	// changes are the webhooks that the last versions changed, the newest last. There are none
	// of before the store was opened.
	changes []uuid.UUID
}

// webhook is a webhook that exists. Its record is replaced, never changed, so that reading
// it needs no lock.
type webhook struct {
	number   uint32
	tenant   *tenant
	record   *delivery.Webhook
	slow     bool
	schedule schedule
	starts   delivery.Starts // by the schedule's clock; forgotten when the process ends
	orders   *orders         // nil if no delivery has had an order key
	// The place in a queue, and what determines it.
	at    int64
	turn  uint64
	place int
}

func newState() *state {
	return &state{
		nextTenant: 1, nextType: 1,
		tenants:  make(map[string]*tenant),
		byNumber: make(map[uint32]*webhook),
		types:    make(map[string]uint32),
		gone:     make(map[uint32][]uint64),
		audits:   make(map[uint32]*auditSize),
		replays:  make(map[string]*heldReplay),
	}
}

func (s *state) version(tenant string) int64 {
	if t := s.tenants[tenant]; t != nil {
		return t.version
	}
	return 0
}

// webhook finds a webhook, nil if it does not exist.
func (s *state) webhook(ref delivery.WebhookRef) *webhook {
	if t := s.tenants[ref.Tenant]; t != nil {
		return t.webhooks[ref.ID]
	}
	return nil
}

// addWebhook adds a webhook of the tenant.
func (s *state) addWebhook(t *tenant, number uint32, record *delivery.Webhook) *webhook {
	w := &webhook{number: number, tenant: t, record: record, place: noPlace}
	t.webhooks[record.ID] = w
	t.inOrder = append(t.inOrder, w) // numbers only rise
	s.byNumber[number] = w
	return w
}

// removeWebhook removes a webhook, and remembers what Sweep has to remove.
func (s *state) removeWebhook(w *webhook) {
	s.queueOf(w).set(w, false)
	s.pending -= w.schedule.Len()
	delete(w.tenant.webhooks, w.record.ID)
	if i := w.tenant.after(w.number - 1); i < len(w.tenant.inOrder) && w.tenant.inOrder[i] == w {
		w.tenant.inOrder = slices.Delete(w.tenant.inOrder, i, i+1)
	}
	delete(s.byNumber, w.number)
	s.gone[w.number] = nil
	for event := range w.schedule.places {
		s.gone[w.number] = append(s.gone[w.number], event)
	}
}

func (s *state) queueOf(w *webhook) *queue {
	if w.slow {
		return &s.slow
	}
	return &s.fast
}

// schedule sets when a delivery falls due.
func (s *state) schedule(w *webhook, event uint64, due, now int64) {
	before := w.schedule.Len()
	w.schedule.set(event, due)
	s.pending += w.schedule.Len() - before
	s.reschedule(w, now, false)
}

// unschedule removes a delivery from the schedule.
func (s *state) unschedule(w *webhook, event uint64, now int64) {
	before := w.schedule.Len()
	w.schedule.remove(event)
	s.pending += w.schedule.Len() - before
	s.dequeue(w, event, now)
	s.reschedule(w, now, false)
}

// reschedule must follow every change of a webhook's schedule, and of its starts: it makes the
// webhook due when its first delivery is, and may start soon, or not at all. An overdue webhook keeps its place among the
// others, unless it just had its turn: then it goes to the end.
func (s *state) reschedule(w *webhook, now int64, hadTurn bool) {
	first := w.schedule.first()
	at := w.lookAt(first)
	switch {
	case at > now:
		w.at = at
	case hadTurn, w.place == noPlace, w.at > now:
		w.at = now
		s.turns++
		w.turn = s.turns
	}
	s.queueOf(w).set(w, w.record.Enabled && first != never)
}

// setSlow moves a webhook to the slow ones, or back.
func (s *state) setSlow(w *webhook, slow bool, now int64) {
	if w.slow == slow {
		return
	}
	s.queueOf(w).set(w, false)
	w.slow = slow
	s.reschedule(w, now, false)
}
