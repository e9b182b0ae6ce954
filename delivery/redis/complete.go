package redis

import (
	"context"
	"slices"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Complete writes one row of the log per outcome and ends or reschedules its
// delivery. The outcomes of one run of a script are written together, or none of them.
func (s *Store) Complete(ctx context.Context, outcomes []delivery.Outcome) []error {
	w := s.newWriting(outcomes)
	odd := oddWebhooks(outcomes)
	for i := range outcomes {
		r := &outcomes[i].Request
		p, err := s.at(r.Tenant)
		if err != nil {
			return slices.Repeat([]error{err}, len(outcomes))
		}
		if odd[delivery.WebhookRef{Tenant: r.Tenant, ID: r.WebhookID}] {
			w.addOther(p, i)
		} else {
			w.plain.of(p).add(&outcomes[i], i)
		}
	}
	w.run(ctx)
	if len(w.others.all) > 0 { // what succeed.lua has left out
		w.run(ctx)
	}
	return w.errs
}

// writing is a batch of outcomes that is being written.
type writing struct {
	store    *Store
	outcomes []delivery.Outcome
	errs     []error // nil, or one of each outcome
	now      time.Time

	plain  batches[*successes]
	others batches[*completion]
}

func (s *Store) newWriting(outcomes []delivery.Outcome) *writing {
	return &writing{
		store: s, outcomes: outcomes, now: s.Now(),
		plain: newBatches(newSuccesses), others: newBatches(newCompletion),
	}
}

// addOther adds an outcome for complete.lua.
func (w *writing) addOther(p *partition, place int) {
	c := w.others.of(p)
	c.places = append(c.places, place)
	c.add(&w.outcomes[place], w.now)
}

func (w *writing) fail(err error, places ...int) {
	if w.errs == nil {
		w.errs = make([]error, len(w.outcomes))
	}
	for _, place := range places {
		w.errs[place] = err
	}
}

// run runs the scripts. Afterwards, there are batches for complete.lua of what succeed.lua has
// left out.
func (w *writing) run(ctx context.Context) {
	plain, others := w.plain.all, w.others.all
	w.plain, w.others = newBatches(newSuccesses), newBatches(newCompletion)
	calls := make([]*call, 0, len(plain)+len(others))
	for _, b := range plain {
		calls = append(calls, b.call())
	}
	for _, b := range others {
		calls = append(calls, b.call(completeScript, b.now))
	}
	if len(calls) == 0 {
		return
	}
	w.store.runAll(ctx, calls...)
	for i, b := range plain {
		leftOut, err := b.leftOut(calls[i])
		if err != nil {
			w.fail(err, b.places()...)
		}
		for _, place := range leftOut {
			w.addOther(b.partition, place)
		}
	}
	for i, b := range others {
		if err := calls[len(plain)+i].err; err != nil {
			w.fail(err, b.places...)
		}
	}
}

// completion gathers outcomes for one run of the script on one partition.
type completion struct {
	partition *partition
	places    []int // indexes of its outcomes in the batch
	args      []any // of the outcomes

	refs       []any
	refNumbers map[delivery.WebhookRef]int
	types      typeNumbers

	counters       []any
	counterNumbers map[counter]int

	outcomes, bytes int
	now             int64 // the time when RetryAt was read; 0 if there are no retries
}

func newCompletion(p *partition) *completion {
	return &completion{
		partition:  p,
		refNumbers: make(map[delivery.WebhookRef]int),
		types:      newTypeNumbers(),

		counterNumbers: make(map[counter]int),
	}
}

func (c *completion) isFull() bool {
	return c.outcomes >= maxEventsPerScript || c.bytes >= maxBytesPerScript
}

// add adds an outcome. RetryAt and now are times of the same clock. The arguments of the script
// alias the outcome: they must not be used after Complete has returned.
func (c *completion) add(o *delivery.Outcome, now time.Time) {
	r := &o.Request
	row := encodeRequest(r)
	started := r.StartedAt()
	var retryAt int64
	if !o.RetryAt.IsZero() {
		retryAt, c.now = o.RetryAt.UnixMilli(), now.UnixMilli()
	}
	c.args = append(
		c.args, c.refNumber(r), c.types.number(r.EventType),
		r.EventID[:], bucket(o.ReceivedAt, r.EventID), r.ID[:], slotOf(started).String(), dayOf(started), row, c.partition.encryption.Request(r).ResponseBody,
		o.LeaseEnd, retryAt, r.Attempt, outcomeFlags(o), c.counterNumber(r),
		o.ReceivedAt.UnixMilli(), firstRequest(delivery.WebhookRef{Tenant: r.Tenant, ID: r.WebhookID}, r.EventID, r.Trigger == delivery.TriggerTest),
	)
	c.outcomes++
	c.bytes += len(row) + len(r.ResponseBody)
}

// outcomeFlags are 4 digits for complete.lua: success, test, slow, success at once.
func outcomeFlags(o *delivery.Outcome) string {
	flags := []byte{statusByte(o.Request.Status), '0', '0', '0'}
	if o.Request.Trigger == delivery.TriggerTest {
		flags[1] = '1'
	}
	if o.Slow {
		flags[2] = '1'
	}
	if isFirstSuccess(o) && succeededAtOnce(o) {
		flags[3] = '1'
	}
	return string(flags)
}

// refNumber is the number of a webhook in the script's arguments, from 1.
func (c *completion) refNumber(r *delivery.Request) int {
	ref := delivery.WebhookRef{Tenant: r.Tenant, ID: r.WebhookID}
	n, ok := c.refNumbers[ref]
	if !ok {
		c.refs = append(c.refs, refText(ref), r.WebhookID[:])
		n = len(c.refs) / 2
		c.refNumbers[ref] = n
	}
	return n
}

// call makes a call of a script, whose own arguments come first.
func (c *completion) call(script *script, first ...any) *call {
	args := make([]any, 0, len(first)+3+len(c.refs)+len(c.types.names)+len(c.counters)+len(c.args))
	args = append(args, first...)
	args = append(args, len(c.refs)/2)
	args = append(args, c.refs...)
	args = c.types.append(args)
	args = append(args, len(c.counters)/2)
	args = append(args, c.counters...)
	args = append(args, c.args...)
	return &call{script: script, base: c.partition.base, args: args}
}
