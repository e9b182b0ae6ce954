package delivery

import (
	"context"
	"fmt"
)

// How many re-runs and tests may be in flight beside the schedule.
const (
	maxSendNow       = 64 // of the tenants of one partition, and as many first ones of a tenant
	maxTenantSendNow = 16 // of one tenant
)

// sendNow sends what prepare returns, outside the schedule, and returns once the
// request is in the log. It counts against its quota before anything is stored, and
// until the outcome is: so what waits to be written is bounded.
func (e *Engine) sendNow(ctx context.Context, tenant string, trigger Trigger, prepare func() (*Webhook, *Event, error)) (*Request, error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	p := e.at(tenant)
	if err := p.watch.refusal(completing); err != nil {
		return nil, err
	}
	if trigger == TriggerTest {
		if err := p.watch.refusal(accepting); err != nil {
			return nil, err
		}
	}
	if !p.sendsNow.acquire(tenant, 1) {
		return nil, ErrBusy
	}
	sendCtx, ok := e.sends.add()
	if !ok {
		p.sendsNow.release(tenant, 1)
		return nil, fmt.Errorf("%w: this process is stopping", ErrUnavailable)
	}
	w, ev, err := prepare()
	if err != nil {
		e.sends.done()
		p.sendsNow.release(tenant, 1)
		return nil, err
	}
	f := &finished{written: make(chan struct{})}
	go func() { // not bound to the caller: what was sent is logged
		defer p.sendsNow.release(tenant, 1)
		f.outcome, _, _ = e.send(sendCtx, e.active.Load(), w, ev, trigger, 0)
		e.ended(f, false)
		<-f.written
	}()
	select {
	case <-f.written:
		if f.err != nil {
			return nil, f.err
		}
		r := f.outcome.Request
		r.RequestBody = ev.Payload
		r.WebhookHeaders = e.settings().shownHeaders(w)
		r.splitBodies()
		return &r, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// enabledWebhook reads a webhook that may be sent something, and its tenant's version.
func (e *Engine) enabledWebhook(ctx context.Context, ref WebhookRef) (*Webhook, int64, error) {
	w, version, err := e.store.Webhook(ctx, ref)
	if err == nil && !w.Enabled {
		err = ErrWebhookDisabled
	}
	return w, version, err
}
