package redis

import (
	"encoding/binary"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// successes gathers, for one run of succeed.lua on one partition, outcomes that are as nearly
// all are: successes of first attempts. It sorts them by the keys that the script writes.
type successes struct {
	partition    *partition
	groups       []successGroup
	groupNumbers map[successKey]int
	types        typeNumbers
	counters     []successCounter
	// counterNumbers are those of counters, from 0.
	counterNumbers map[counter]int
	rows, bodies   fields[slot]
	deliveries     fields[bucketID]
	// atOnce are the hours in which the events were received of deliveries that get no state.
	atOnce map[int64]bool
	texts  texts

	outcomes, bytes int
}

// successKey is what the outcomes of a group have in common.
type successKey struct {
	ref           delivery.WebhookRef
	leaseEnd, day int64
}

// successGroup has outcomes that go by the same keys. The script writes all of them or none.
type successGroup struct {
	successKey
	all []groupedOutcome
}

type groupedOutcome struct {
	place          int // in the batch of outcomes
	event, request any
	eventType      int // from 1
}

// successCounter counts requests. The groups are those of the requests: 2 bytes of each.
type successCounter struct {
	counter
	groups []byte
}

func newSuccesses(p *partition) *successes {
	return &successes{
		partition:      p,
		groupNumbers:   make(map[successKey]int),
		types:          newTypeNumbers(),
		counterNumbers: make(map[counter]int),
		atOnce:         make(map[int64]bool),
	}
}

func (s *successes) isFull() bool {
	return s.outcomes >= maxEventsPerScript || s.bytes >= maxBytesPerScript
}

// isFirstSuccess reports whether an outcome is the success of a first attempt, and no other delivery
// waits for it.
func isFirstSuccess(o *delivery.Outcome) bool {
	return o.Request.Status == delivery.RequestSuccess && o.Request.Attempt == 1 && o.LeaseEnd != 0 && !o.Slow && !o.Ordered
}

// oddWebhooks finds the webhooks whose outcomes are for complete.lua: all of them, since their
// order matters. Any other outcome than the success of a first attempt is odd, and so are two
// of one delivery.
func oddWebhooks(outcomes []delivery.Outcome) map[delivery.WebhookRef]bool {
	type id struct{ event, webhook uuid.UUID } // of a delivery
	var odd map[delivery.WebhookRef]bool
	known := make(map[id]bool, len(outcomes))
	for i := range outcomes {
		o, r := &outcomes[i], &outcomes[i].Request
		of := id{r.EventID, r.WebhookID}
		if isFirstSuccess(o) && !known[of] {
			known[of] = true
			continue
		}
		if odd == nil {
			odd = make(map[delivery.WebhookRef]bool)
		}
		odd[delivery.WebhookRef{Tenant: r.Tenant, ID: r.WebhookID}] = true
	}
	return odd
}

// add adds an outcome, whose place is that in the batch of outcomes. The arguments of the script
// alias the outcome: they must not be used after Complete has returned.
func (s *successes) add(o *delivery.Outcome, place int) {
	r := &o.Request
	started := r.StartedAt()
	n := s.groupNumber(successKey{
		ref: delivery.WebhookRef{Tenant: r.Tenant, ID: r.WebhookID}, leaseEnd: o.LeaseEnd, day: dayOf(started),
	})
	event, request := s.texts.add(r.EventID[:]), s.texts.add(r.ID[:])
	group := &s.groups[n-1]
	group.all = append(group.all, groupedOutcome{place, event, request, s.types.number(r.EventType)})

	atOnce := succeededAtOnce(o)
	row, id, state := encodeFirst(r, !atOnce)
	s.rows.add(slotOf(started), n, request, s.texts.add(row))
	if r.ResponseBody != "" {
		s.bodies.add(slotOf(started), n, request, s.partition.encryption.Request(r).ResponseBody)
	}
	if atOnce {
		s.atOnce[record.Hour(o.ReceivedAt)] = true
	} else {
		s.deliveries.add(bucketOf(o.ReceivedAt, r.EventID), n, s.texts.add(id), s.texts.add(state))
	}
	s.count(r, n)
	s.outcomes++
	s.bytes += len(row) + len(r.ResponseBody)
}

// encodeFirst encodes the row of a first request that was a success, and the id and the state
// of its delivery if it gets one.
func encodeFirst(r *delivery.Request, hasState bool) (row, id, state []byte) {
	const idSize = 16 + 16
	size := requestSize(r)
	if hasState {
		size += idSize + record.DeliverySize
	}
	b := appendRequest(make([]byte, scriptHeadSize, size), r)
	rowEnd := len(b)
	if !hasState {
		return b, nil, nil
	}
	b = append(append(b, r.EventID[:]...), r.WebhookID[:]...)
	b = record.AppendDelivery(b, &record.Delivery{Status: record.Success, Attempts: 1, Last: r.ID})
	return b[:rowEnd], b[rowEnd : rowEnd+idSize], b[rowEnd+idSize:]
}

// atOnce is how soon after its event was received the first request of a delivery begins that
// has no state if it is a success: at_once_ms in common.lua.
const atOnce = 250 * time.Millisecond

// succeededAtOnce reports whether the delivery of a successful first attempt is found without a
// state.
func succeededAtOnce(o *delivery.Outcome) bool {
	r := &o.Request
	started := r.StartedAt()
	after := started.Sub(o.ReceivedAt)
	return after >= 0 && after < atOnce &&
		r.ID == delivery.FirstRequestID(delivery.WebhookRef{Tenant: r.Tenant, ID: r.WebhookID}, r.EventID, started)
}

// groupNumber is the number of a group in the script's arguments, from 1.
func (s *successes) groupNumber(key successKey) int {
	n, ok := s.groupNumbers[key]
	if !ok {
		s.groups = append(s.groups, successGroup{successKey: key})
		n = len(s.groups)
		s.groupNumbers[key] = n
	}
	return n
}

// count counts a request of a group.
func (s *successes) count(r *delivery.Request, group int) {
	of := counterOf(r)
	n, ok := s.counterNumbers[of]
	if !ok {
		n = len(s.counters)
		s.counters = append(s.counters, successCounter{counter: of})
		s.counterNumbers[of] = n
	}
	s.counters[n].groups = binary.BigEndian.AppendUint16(s.counters[n].groups, uint16(group))
}

func (s *successes) call() *call {
	args := make([]any, 0, 16+8*s.outcomes+8*len(s.groups))
	args = s.types.append(args)
	args = append(args, len(s.groups))
	for i := range s.groups {
		args = s.groups[i].append(args)
	}
	args = s.rows.append(args)
	args = s.bodies.append(args)
	args = s.deliveries.append(args)
	args = append(args, len(s.atOnce))
	for hour := range s.atOnce {
		args = append(args, hour)
	}
	args = s.appendHours(args)
	args = append(args, len(s.counters))
	for i := range s.counters {
		c := &s.counters[i]
		args = append(args, c.key(s.partition.base), c.field())
	}
	for i := range s.counters {
		args = append(args, s.counters[i].groups)
	}
	return &call{script: succeedScript, base: s.partition.base, args: args}
}

// append appends the arguments of a group.
func (g *successGroup) append(args []any) []any {
	slices.SortStableFunc(g.all, func(a, b groupedOutcome) int { return a.eventType - b.eventType })
	args = append(args, refText(g.ref), g.leaseEnd, g.day)
	head := len(args)
	args = append(args, nil, len(g.all))
	runs := 0
	for i := 0; i < len(g.all); runs++ {
		eventType, first := g.all[i].eventType, i
		for i < len(g.all) && g.all[i].eventType == eventType {
			i++
		}
		args = append(args, eventType, i-first)
	}
	args[head] = runs
	for i := range g.all {
		args = append(args, g.all[i].event)
	}
	for i := range g.all {
		args = append(args, g.all[i].request)
	}
	return args
}

// appendHours appends the hours of which something is written, and until when sweep.lua keeps
// it: events outlive the log by an hour, and so do the states of their deliveries.
func (s *successes) appendHours(args []any) []any {
	keptUntil := make(map[string]int64)
	for hour := range s.rows.hours() {
		keptUntil["requests:"+strconv.FormatInt(hour, 10)] = hour
	}
	for hour := range s.deliveries.hours() {
		keptUntil["deliveries:"+strconv.FormatInt(hour, 10)] = hour + 1
	}
	args = append(args, len(keptUntil))
	for name, hour := range keptUntil {
		args = append(args, hour, name)
	}
	return args
}

// leftOut returns the places of the outcomes that the script has left out.
func (s *successes) leftOut(c *call) (places []int, err error) {
	if c.err != nil {
		return nil, c.err
	}
	for _, r := range c.reply[1:] {
		n, _ := r.(int64)
		if n < 1 || int(n) > len(s.groups) {
			return nil, errUnknownReply
		}
		places = append(places, s.groups[n-1].places()...)
	}
	return places, nil
}

// places returns the places of all outcomes.
func (s *successes) places() (places []int) {
	for i := range s.groups {
		places = append(places, s.groups[i].places()...)
	}
	return places
}

func (g *successGroup) places() (places []int) {
	for i := range g.all {
		places = append(places, g.all[i].place)
	}
	return places
}
