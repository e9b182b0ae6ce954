package redis

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// begunAfter dates a first request so long after its event was received, with the id that the
// engine gives it.
func begunAfter(after time.Duration, o delivery.Outcome) delivery.Outcome {
	r := &o.Request
	r.ID = delivery.FirstRequestID(delivery.WebhookRef{Tenant: r.Tenant, ID: r.WebhookID}, r.EventID, o.ReceivedAt.Add(after))
	return o
}

// single is a store with one event that goes to one webhook.
type single struct {
	*testing.T
	s       *Store
	w       *delivery.Webhook
	event   uuid.UUID
	outcome delivery.Outcome // that of a first attempt, a success at once
}

func newSingle(t *testing.T) *single {
	t.Helper()
	s := open(t, options())
	w := addWebhook(t, s, testTenant)
	call := newCall(s, w, 1, 10, true)
	accepted := mustAccept(t, s, call)
	return &single{t, s, w, call.Events[0].ID, begunAfter(5*time.Millisecond, success(s, w, &call.Events[0], &accepted))}
}

func (o *single) complete(outcomes ...delivery.Outcome) {
	o.Helper()
	if err := errors.Join(o.s.Complete(o.Context(), outcomes)...); err != nil {
		o.Fatal(err)
	}
}

// states counts the keys of states.
func (o *single) states() int {
	return len(o.s.client().Keys(o.Context(), o.s.keys.base(0)+"deliveries:*").Val())
}

// want checks the delivery and the requests of the event.
func (o *single) want(status delivery.DeliveryStatus, attempts int, requests ...uuid.UUID) {
	o.Helper()
	_, deliveries, err := o.s.Event(o.Context(), testTenant, o.event)
	if err != nil || len(deliveries) != 1 || deliveries[0].Status != status || deliveries[0].Attempts != attempts {
		o.Errorf("the deliveries are %+v, %v, want %s after %d attempts", deliveries, err, status, attempts)
	}
	wantLog(o.T, o.s, delivery.RequestFilter{EventID: o.event}, requests...)
}

// TestAtOnce has a delivery succeed at once, which leaves no state, and then more requests of
// it.
func TestAtOnce(t *testing.T) {
	for name, after := range map[string]time.Duration{"first": 0, "some": 7 * time.Millisecond, "last": atOnce - time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			o := newSingle(t)
			first := begunAfter(after, o.outcome)
			for range 2 { // it may be repeated
				o.complete(first)
				o.want(delivery.DeliverySuccess, 1, first.Request.ID)
			}
			if n := o.states(); n != 0 {
				t.Errorf("there are %d keys of states", n)
			}
			lost := first
			lost.LeaseEnd++
			lost.Request.ID, lost.Request.Status = delivery.NewID(first.ReceivedAt.Add(time.Second)), delivery.RequestFailed
			o.complete(lost)
			o.want(delivery.DeliverySuccess, 1, first.Request.ID, lost.Request.ID)
		})
	}
}

// TestAtOnceRerun runs a request again whose delivery has no state.
func TestAtOnceRerun(t *testing.T) {
	for _, status := range []delivery.RequestStatus{delivery.RequestFailed, delivery.RequestSuccess} {
		t.Run(string(status), func(t *testing.T) {
			o := newSingle(t)
			o.complete(o.outcome)
			again := o.outcome
			asRerun(&again)
			again.Request.ID, again.Request.Status = delivery.NewID(o.outcome.ReceivedAt.Add(time.Second)), status
			o.complete(again)
			o.want(delivery.DeliverySuccess, 1, o.outcome.Request.ID, again.Request.ID)
		})
	}
}

// TestBrokenOffAtOnce has a first request that failed repeat the row that a script wrote before it
// broke off, after another one had succeeded at once.
func TestBrokenOffAtOnce(t *testing.T) {
	o := newSingle(t)
	o.complete(o.outcome)
	again := begunAfter(7*time.Millisecond, o.outcome)
	again.LeaseEnd, again.Request.Status = 0, delivery.RequestFailed
	row := append(o.outcome.Request.ID[:], make([]byte, nextAttemptSize)...)
	row = append(row, encodeRequest(&again.Request)...)
	o.s.client().HSet(t.Context(), requestsKey(o.s.keys.base(0), again.Request.ID), string(again.Request.ID[:]), row)
	o.complete(again)
	o.want(delivery.DeliverySuccess, 1, o.outcome.Request.ID, again.Request.ID)
}

// TestNotAtOnce has first attempts succeed whose requests would not be found.
func TestNotAtOnce(t *testing.T) {
	for name, change := range map[string]func(*delivery.Outcome){
		"late":       func(o *delivery.Outcome) { *o = begunAfter(atOnce, *o) },
		"before":     func(o *delivery.Outcome) { *o = begunAfter(-time.Millisecond, *o) },
		"another id": func(o *delivery.Outcome) { o.Request.ID = delivery.NewID(o.ReceivedAt.Add(time.Millisecond)) },
	} {
		t.Run(name, func(t *testing.T) {
			o := newSingle(t)
			change(&o.outcome)
			o.complete(o.outcome)
			o.want(delivery.DeliverySuccess, 1, o.outcome.Request.ID)
			if n := o.states(); n != 1 {
				t.Errorf("there are %d keys of states, want 1", n)
			}
		})
	}
}

// TestTriedAtOnce has a re-run change the state before the first attempt has ended.
func TestTriedAtOnce(t *testing.T) {
	o := newSingle(t)
	again := o.outcome
	asRerun(&again)
	again.Request.ID, again.Request.Status = delivery.NewID(o.outcome.ReceivedAt), delivery.RequestFailed
	o.complete(again)
	o.want(delivery.DeliveryPending, 0, again.Request.ID)
	o.complete(o.outcome)
	o.want(delivery.DeliverySuccess, 1, again.Request.ID, o.outcome.Request.ID)
}

// TestTriedAtOnceAlone has the same leave the deliveries of other webhooks to the quick script.
func TestTriedAtOnceAlone(t *testing.T) {
	o := newSingle(t)
	again := o.outcome
	asRerun(&again)
	again.Request.ID, again.Request.Status = delivery.NewID(o.outcome.ReceivedAt), delivery.RequestFailed
	o.complete(again)
	other := addWebhook(t, o.s, testTenant)
	call := newCall(o.s, other, 1, 10, true)
	accepted := mustAccept(t, o.s, call)
	w := o.s.newWriting([]delivery.Outcome{
		o.outcome, begunAfter(time.Millisecond, success(o.s, other, &call.Events[0], &accepted)),
	})
	p, err := o.s.at(testTenant)
	if err != nil {
		t.Fatal(err)
	}
	for i := range w.outcomes {
		w.plain.of(p).add(&w.outcomes[i], i)
	}
	w.run(t.Context())
	if len(w.errs) > 0 || len(w.others.all) != 1 || !slices.Equal(w.others.all[0].places, []int{0}) {
		t.Errorf("left out is %+v, %v", w.others.all, w.errs)
	}
}

// TestTriedAtOnceCopied has the first attempt end after the delivery, with such a state, was
// copied.
func TestTriedAtOnceCopied(t *testing.T) {
	from, s := newSingle(t), open(t, options())
	again := from.outcome
	asRerun(&again)
	again.Request.ID, again.Request.Status = delivery.NewID(from.outcome.ReceivedAt), delivery.RequestFailed
	from.complete(again)
	mustCopy(t, from.s, s)
	o := &single{t, s, from.w, from.event, from.outcome}
	o.lease()
	o.complete(o.outcome)
	o.want(delivery.DeliverySuccess, 1, again.Request.ID, o.outcome.Request.ID)
}

// lease leases the delivery for its outcome, as if it were due.
func (o *single) lease() {
	o.Helper()
	base := o.s.keys.base(0)
	o.s.client().ZAddXX(o.Context(), pendingKey(base, o.w.Ref()), redis.Z{Score: 1, Member: string(o.event[:])})
	o.s.client().ZAddXX(o.Context(), base+"due", redis.Z{Score: 1, Member: refText(o.w.Ref())})
	jobs := claim(o.T, o.s)
	if err := countJobs(jobs, 1); err != nil {
		o.Fatal(err)
	}
	o.outcome.LeaseEnd = jobs[0].LeaseEnd
}

// TestAtOnceLost loses what tells of deliveries: they are not said to have succeeded.
func TestAtOnceLost(t *testing.T) {
	o := newSingle(t)
	o.s.client().Del(t.Context(), o.s.client().Keys(t.Context(), o.s.keys.base(0)+"leased:*").Val()...)
	o.want(delivery.DeliveryPending, 0)

	o = newSingle(t)
	o.complete(o.outcome)
	o.s.client().Del(t.Context(), requestsKey(o.s.keys.base(0), o.outcome.Request.ID))
	o.want(delivery.DeliverySuccess, 1) // by the index
	o.s.client().Del(t.Context(), o.logKeys()...)
	o.want(delivery.DeliveryPending, 0)
}

func (o *single) logKeys() []string {
	return o.s.client().Keys(o.Context(), o.s.keys.base(0)+"log:*").Val()
}

// TestAtOnceSwept drops the row of a delivery an hour before its event.
func TestAtOnceSwept(t *testing.T) {
	o := newSingle(t)
	o.complete(o.outcome)
	for more := true; more; {
		var err error
		if more, err = o.s.Sweep(t.Context(), -time.Hour); err != nil { // as an hour later
			t.Fatal(err)
		}
	}
	o.want(delivery.DeliverySuccess, 1)

	// Neither rows nor the index are looked through, which still has it.
	p, err := o.s.at(testTenant)
	if err != nil {
		t.Fatal(err)
	}
	e, err := o.s.storedEvent(t.Context(), p.base, testTenant, o.event)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := o.s.run(t.Context(), eventScript, p.base, e.args(e.targets)...)
	if err != nil {
		t.Fatal(err)
	}
	state, _ := reply[1].(string)
	if d, err := record.DecodeDelivery([]byte(state)); err != nil || d.Last != uuid.Nil {
		t.Errorf("the state is %+v, %v", d, err)
	}
}

// TestAtOnceBorder has a request in the slot after that in which its event was received, and
// copies both.
func TestAtOnceBorder(t *testing.T) {
	from, s := newSingle(t), open(t, options())
	received := from.s.Now().Truncate(delivery.StatsSlice).Add(-time.Millisecond)
	for batch, err := range from.s.Export(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range batch.Events {
			batch.Events[i].ReceivedAt = received
		}
		if _, err := s.Import(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	o := &single{t, s, from.w, from.event, from.outcome}
	o.lease()
	o.outcome.ReceivedAt = received
	o.outcome = begunAfter(atOnce/2, o.outcome)
	o.complete(o.outcome)
	o.want(delivery.DeliverySuccess, 1, o.outcome.Request.ID)

	copied := &single{t, open(t, options()), o.w, o.event, o.outcome}
	mustCopy(t, s, copied.s)
	copied.want(delivery.DeliverySuccess, 1, o.outcome.Request.ID)
}
