package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

const (
	// fewRows is how many rows the log has that a long one is compared with.
	fewRows = 10_000
	// risingLimit is how much more an operation may cost with a long log.
	risingLimit = 1.25
	// risingTries are enough for a store whose server gets no CPU for a while.
	risingTries = 10
	// risingRuns is how often a comparison is made that fails: other programs may take the
	// caches away from the longer log for a while, but what rises fails each time.
	risingRuns = 3

	risingAge = 14 * 24 * time.Hour // of the oldest row

	// In each round the two stores take so many turns.
	risingRounds = 7
	risingTurns  = 20
	// What a store does in a turn.
	turnEvents = 256
	turnPages  = 10
)

// Rising compares what work costs a store whose log is long with what it costs one whose log
// has 10,000 rows: accepting and completing events, and reading a page of the log.
type Rising struct {
	// New makes an empty store that ends with the test.
	New func(t testing.TB) delivery.Copyable
	// CPU is the processor time that a store has used, or whatever it runs in. It is no time
	// that passes on a clock, which would grow with whatever else the machine does.
	CPU func(t testing.TB, s delivery.Store) time.Duration
	// Rows is how many rows the long log has.
	Rows int
}

// Run fills both stores, and fails the test if the one with the long log needs more than 1.25
// times as much CPU. The two take turns, so that a machine that is slower for a while is so for
// both, and the median of the rounds counts.
func (r Rising) Run(t *testing.T) {
	few, many := r.grown(t, fewRows), r.grown(t, r.Rows)
	r.compare(t, "accepting and completing an event", few, many, turnEvents, life)
	r.compare(t, "reading a page of the log", few, many, turnPages, pages)
}

// grown makes a store with so many rows in its log, and their events. They are of the last two
// weeks, as in a store that has been at work for as long as it keeps them.
func (r Rising) grown(t *testing.T, rows int) *Load {
	t.Helper()
	store := r.New(t)
	l := &Load{Store: store}
	l.Begin(t)
	now := store.Now()
	for first := 0; first < rows; first += delivery.BatchItems {
		var events, requests delivery.Batch
		for n := first; n < first+delivery.BatchItems; n++ {
			age := risingAge - risingAge/time.Duration(rows)*time.Duration(n)
			event, request := l.past(now.Add(-age).Truncate(time.Millisecond))
			events.AddEvent(event)
			requests.AddRequest(request)
		}
		for _, batch := range []*delivery.Batch{&events, &requests} {
			again(t, func() error {
				_, err := store.Import(t.Context(), batch)
				return err
			})
		}
	}
	return l
}

// past is an event that was delivered at the first attempt, and its request.
func (l *Load) past(at time.Time) (delivery.StoredEvent, delivery.StoredRequest) {
	w := l.webhooks[0]
	event := delivery.StoredEvent{
		Event: delivery.Event{
			Tenant: w.Tenant, ID: delivery.NewID(at), Type: "alert_active", OccurredAt: at, ReceivedAt: at, Payload: l.payload,
		},
		Expires: at.Add(retention), Nonce: uuid.New(),
	}
	request := delivery.StoredRequest{Request: l.success(&event.Event, w.ID, delivery.NewID(at))}
	event.Deliveries = []delivery.StoredDelivery{{
		Webhook: w.ID, Status: delivery.DeliverySuccess, Attempts: 1, LastRequest: request.ID,
	}}
	return event, request
}

// compare compares what a turn costs the two stores, in which they do something so many times.
func (r Rising) compare(t *testing.T, what string, few, many *Load, times int, turn func(*testing.T, *Load)) {
	t.Helper()
	for range risingRuns {
		if ratio := r.ratio(t, what, few, many, times, turn); ratio <= risingLimit {
			return
		}
	}
	t.Errorf("%s takes more than %v times as much CPU with %d rows as with %d", what, risingLimit, r.Rows, fewRows)
}

// ratio is how many times as much a turn costs with the long log.
func (r Rising) ratio(t *testing.T, what string, few, many *Load, times int, turn func(*testing.T, *Load)) float64 {
	t.Helper()
	var short, long []time.Duration
	var ratios []float64
	for range risingRounds {
		var a, b time.Duration
		for range risingTurns {
			a += r.cost(t, few, turn)
			b += r.cost(t, many, turn)
		}
		each := time.Duration(risingTurns * times)
		short, long, ratios = append(short, a/each), append(long, b/each), append(ratios, float64(b)/float64(a))
	}
	ratio := median(ratios)
	t.Logf("%s: %v of CPU with %d rows, %v with %d, %.2f times as much; in rounds %.2f", what, median(short), fewRows, median(long), r.Rows, ratio, ratios)
	return ratio
}

func (r Rising) cost(t *testing.T, l *Load, turn func(*testing.T, *Load)) time.Duration {
	t.Helper()
	before := r.CPU(t, l.Store)
	turn(t, l)
	return r.CPU(t, l.Store) - before
}

// life accepts events and completes them. On a busy machine a store's server may not answer in
// time: then other events are accepted, and the same outcomes written again.
func life(t *testing.T, l *Load) {
	t.Helper()
	var outcomes []delivery.Outcome
	again(t, func() error {
		calls, accepted, err := l.accept(t, turnEvents, true)
		if err == nil {
			outcomes = l.outcomes(calls, accepted)
		}
		return err
	})
	again(t, func() error { return errors.Join(l.Store.Complete(t.Context(), outcomes)...) })
}

func pages(t *testing.T, l *Load) {
	t.Helper()
	for range turnPages {
		again(t, func() error {
			_, err := l.Store.Requests(t.Context(), l.webhooks[0].Tenant, delivery.RequestFilter{Limit: 50})
			return err
		})
	}
}

func again(t *testing.T, do func() error) {
	t.Helper()
	var err error
	for range risingTries {
		if err = do(); err == nil {
			return
		}
	}
	t.Fatal(err)
}

func median[T float64 | time.Duration](of []T) T {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}
