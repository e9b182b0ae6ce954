package delivery_test

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// emit accepts events at any process, one of each key.
func (o *orderTest) emit(keys ...string) {
	o.t.Helper()
	var events []delivery.NewEvent
	var data []numbered
	o.mu.Lock()
	for _, key := range keys {
		o.made[key]++
		d := numbered{key, o.made[key]}
		text, err := json.Marshal(d)
		if err != nil {
			o.t.Fatal(err)
		}
		data, events = append(data, d), append(events, delivery.NewEvent{Type: "a", Data: text})
	}
	p := o.processes[o.below(len(o.processes))]
	o.mu.Unlock()
	receipts, err := p.Emit(o.t.Context(), tenant, events)
	if err != nil {
		return // they are accepted or not; if they are, they are in order
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, receipt := range receipts {
		o.accepted[receipt.EventID] = data[i]
	}
}

// receive is what the endpoints do with a request of a process that has not been killed.
func (o *orderTest) receive(ctx, dead context.Context, m sender.Message) sender.Response {
	if dead.Err() != nil {
		return sender.Response{Failure: "the process is dead"}
	}
	var body struct{ Data numbered }
	if err := json.Unmarshal(m.Body, &body); err != nil {
		o.t.Error(err)
	}
	d := body.Data
	if m.URL == plainURL {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.plain[d] = true
		return sender.Response{StatusCode: 200}
	}
	end := o.begin(d)
	defer end()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(dead, cancel)
	defer stop()
	switch d.Key {
	case stuckKey:
		return status(503)(ctx, m)
	case "free", "free two":
		return after(100*time.Millisecond)(ctx, m)
	default:
		return unreliable(o.chance)(ctx, m)
	}
}

// begin checks that a delivery may be sent now, and notes that it is until the result is called.
func (o *orderTest) begin(d numbered) (end func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for other, n := range o.inFlight {
		if other.Key == d.Key && n > 0 && !o.excused[other] && !o.excused[d] {
			o.t.Errorf("%+v is sent while %+v is in flight", d, other)
		}
	}
	if d.N < o.last[d.Key] && !o.excused[d] {
		o.t.Errorf("%+v is sent after number %d", d, o.last[d.Key])
	}
	o.last[d.Key] = max(d.N, o.last[d.Key])
	o.inFlight[d]++
	o.sent[d]++
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.inFlight[d]--
	}
}

// intervene does what admins do.
func (o *orderTest) intervene(ctx context.Context) {
	for ctx.Err() == nil {
		time.Sleep(o.upTo(3 * time.Second))
		id, d, ok := o.some()
		if !ok {
			continue
		}
		switch o.below(6) {
		case 0:
			o.enable(false)
			time.Sleep(o.upTo(5 * time.Second)) // what is accepted meanwhile is not for it
			o.enable(true)
		case 1:
			if o.admin.CancelDelivery(o.t.Context(), o.webhook.Ref(), id) == nil {
				o.excuse(d)
			}
		case 2:
			_ = o.admin.SendDelivery(o.t.Context(), o.webhook.Ref(), id) // unless it waits or is in flight
		case 3:
			o.excuse(d)
			if err := o.admin.EraseEvent(o.t.Context(), tenant, id); err != nil {
				o.t.Error(err)
			}
		case 4:
			o.rerun(id, d)
		default:
			_, _ = o.admin.StartReplay(o.t.Context(), tenant, delivery.ReplayFilter{Status: delivery.ReplayFailed}) // unless one is running
		}
	}
}

func (o *orderTest) enable(enabled bool) {
	if _, err := o.admin.ChangeWebhook(o.t.Context(), o.webhook.Ref(), func(w *delivery.Webhook) { w.Enabled = enabled }); err != nil {
		o.t.Error(err)
	}
}

// excuse lets a delivery end, or be sent, out of turn.
func (o *orderTest) excuse(d numbered) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.excused[d] = true
}

// some is some event that was accepted, and is not of the key that is stuck.
func (o *orderTest) some() (id uuid.UUID, d numbered, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := []string{"a", "b", "c", "", "free"}[o.below(5)]
	n := o.made[key] - o.below(5) // those that are pending are the last ones
	for id, d := range o.accepted {
		if d == (numbered{key, n}) {
			return id, d, true
		}
	}
	return id, d, false
}

// rerun sends the last request of a delivery again.
func (o *orderTest) rerun(event uuid.UUID, d numbered) {
	page, err := o.admin.Requests(o.t.Context(), tenant, delivery.RequestFilter{WebhookID: o.webhook.ID, Limit: 200})
	if err != nil {
		o.t.Error(err)
		return
	}
	for i := range page.Requests {
		if page.Requests[i].EventID == event {
			o.excuse(d)
			_, _ = o.admin.Rerun(o.t.Context(), tenant, page.Requests[i].ID) // unless it was erased
			return
		}
	}
}

// pending counts the accepted events, and those of each key that have a pending delivery.
func (o *orderTest) pending() (all int, byKey map[string]int) {
	o.t.Helper()
	byKey = make(map[string]int)
	for id, d := range o.accepted {
		_, deliveries, err := o.admin.Event(o.t.Context(), tenant, id)
		if err != nil {
			o.t.Fatal(err)
		}
		for _, one := range deliveries {
			if one.Status == delivery.DeliveryPending {
				byKey[d.Key]++
			}
		}
	}
	return len(o.accepted), byKey
}

// wantAllSent checks that what was accepted was sent, but for what admins ended.
func (o *orderTest) wantAllSent() {
	o.t.Helper()
	total := 0
	for id, d := range o.accepted {
		if total += o.sent[d]; o.excused[d] {
			continue
		}
		_, deliveries, err := o.admin.Event(o.t.Context(), tenant, id)
		if err != nil {
			o.t.Fatal(err)
		}
		for _, one := range deliveries {
			if one.WebhookID == o.webhook.ID && o.sent[d] == 0 || one.WebhookID != o.webhook.ID && !o.plain[d] {
				o.t.Errorf("%+v was not sent: %+v", d, one)
			}
		}
	}
	o.t.Logf("%d events accepted, %d ended by admins, %d requests", len(o.accepted), len(o.excused), total)
}
