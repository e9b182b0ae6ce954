package redis

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// history has events listed, added to and replayed, of which there are many in the index.
func (w worstWatch) history(b *testing.B) {
	s := w.s
	hook := addWebhook(b, s, "history")
	accept := func(n, size int, targets ...delivery.Target) delivery.AcceptCall {
		call := newCall(s, hook, n, size, false)
		for i := range call.Events {
			call.Events[i].Targets, call.Events[i].Type = targets, "type "+strconv.Itoa(i)
		}
		mustAccept(b, s, call)
		return call
	}
	for range 40 {
		accept(1000, 10)
	}
	for name, filter := range map[string]delivery.EventFilter{
		"first":  {Limit: delivery.MaxPage},
		"oldest": {Limit: delivery.MaxPage, OldestFirst: true},
		"none":   {Limit: delivery.MaxPage, EventType: "nobody has this"},
	} {
		b.Run("Events/"+name, func(b *testing.B) {
			w.longest(b, func() error {
				_, err := s.Events(b.Context(), hook.Tenant, filter)
				return err
			})
		})
	}
	b.Run("Accept/1000", func(b *testing.B) {
		w.longest(b, func() error { accept(1000, 10); return nil })
	})
	b.Run("Accept/1000 again", func(b *testing.B) {
		call := accept(1000, 10)
		w.longest(b, func() error {
			call.Nonce = uuid.New()
			mustAccept(b, s, call)
			return nil
		})
	})
	w.addDeliveries(b, hook, accept)
	b.Run("TakeStart", func(b *testing.B) { w.takeStart(b) })
	b.Run("Replays", func(b *testing.B) { w.replays(b, hook) })
}

// addDeliveries adds deliveries to a large event, and to one that has many.
func (w worstWatch) addDeliveries(b *testing.B, hook *delivery.Webhook, accept func(n, size int, targets ...delivery.Target) delivery.AcceptCall) {
	var all []delivery.Target
	for range 2000 {
		all = append(all, delivery.Target{Webhook: addWebhook(b, w.s, hook.Tenant).ID})
	}
	for name, call := range map[string]delivery.AcceptCall{
		"large": accept(1, 1<<20), "many": accept(1, 10, all...), "both": accept(1, 1<<20, all...),
	} {
		id := call.Events[0].ID
		b.Run("AddDelivery/"+name, func(b *testing.B) {
			w.longest(b, func() error {
				_, _, err := w.s.AddDelivery(b.Context(), addWebhook(b, w.s, hook.Tenant).Ref(), id)
				return err
			})
		})
		b.Run("Event/"+name, func(b *testing.B) {
			w.longest(b, func() error {
				_, _, err := w.s.Event(b.Context(), hook.Tenant, id)
				return err
			})
		})
	}
}

// takeStart takes a start of a webhook with a long schedule.
func (w worstWatch) takeStart(b *testing.B) {
	hook := addWebhook(b, w.s, "starts")
	limited := *hook
	limited.RateLimit = &delivery.RateLimit{Requests: 1000, Per: time.Second}
	if err := w.s.UpdateWebhook(b.Context(), &limited, version(w.s, hook.Tenant)); err != nil {
		b.Fatal(err)
	}
	for range 20 {
		mustAccept(b, w.s, newCall(w.s, hook, 500, 10, false))
	}
	w.longest(b, func() error {
		_, err := w.s.TakeStart(b.Context(), hook.Ref(), false)
		return err
	})
}

// replays creates, claims and saves replays that are as large as they can be.
func (w worstWatch) replays(b *testing.B, hook *delivery.Webhook) {
	sending := make([]delivery.ReplayedDelivery, 400+delivery.MaxPage)
	for i := range sending {
		sending[i] = delivery.ReplayedDelivery{WebhookID: uuid.New(), EventID: uuid.New(), Last: uuid.New()}
	}
	holder := uuid.New()
	once := func() error {
		r := &delivery.Replay{Tenant: hook.Tenant, ID: delivery.NewID(w.s.Now()), State: delivery.ReplayRunning, Filter: delivery.ReplayFilter{Status: delivery.ReplayAny}}
		if err := w.s.CreateReplay(b.Context(), r, time.Hour); err != nil {
			return err
		}
		if _, err := w.s.ClaimReplays(b.Context(), 0, holder, time.Minute, 10); err != nil {
			return err
		}
		r.Sending = slices.Clone(sending)
		if _, err := w.s.SaveReplay(b.Context(), r, holder, time.Minute, time.Hour); err != nil {
			return err
		}
		if _, err := w.s.Replays(b.Context(), hook.Tenant); err != nil {
			return err
		}
		r.Sending, r.State = nil, delivery.ReplayDone
		_, err := w.s.SaveReplay(b.Context(), r, holder, time.Minute, time.Hour)
		return err
	}
	for range delivery.MaxReplays {
		if err := once(); err != nil {
			b.Fatal(err)
		}
	}
	w.longest(b, once)
}
