package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/api"
	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Caddy's events that the app emits.
const (
	eventDeliveryFailed   = "webhooks.delivery_failed"
	eventWebhookDisabled  = "webhooks.webhook_disabled"
	eventStoreUnavailable = "webhooks.store_unavailable"
	eventStoreAvailable   = "webhooks.store_available"
)

const (
	// maxAnnounced bounds the events that wait for those who handle them.
	maxAnnounced = 1000
	// tellUnannouncedEvery is how often the log says that some were dropped, at most.
	tellUnannouncedEvery = time.Minute
)

// awaitActiveEvery is how often an app looks whether its configuration has started.
const awaitActiveEvery = 20 * time.Millisecond

// ownEvents begins the types of events that an app's own Caddy events are emitted as.
const ownEvents = api.CaddyEventType + "webhooks."

// announcer emits Caddy events of what the engine notifies of. Handlers may take their time, such as
// those that run commands, so that a goroutine of its own calls them, which ends with the
// configuration.
type announcer struct {
	app    *App
	events *caddyevents.App
	queue  chan announcement
	ended  bool         // the configuration is replaced; the lock of announcers guards it
	active atomic.Bool  // Caddy has started all apps, so that nobody subscribes any more
	told   atomic.Int64 // when the log last said that some were dropped
}

type announcement struct {
	name string
	data map[string]any
}

// startAnnouncing has Caddy events emitted until the configuration is replaced. It needs Caddy's
// app for events, which there is wherever HTTP is served.
func (a *App) startAnnouncing() error {
	app, err := a.ctx.AppIfConfigured("events")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil
	}
	if err != nil {
		return err
	}
	events, ok := app.(*caddyevents.App)
	if !ok {
		return fmt.Errorf("the app is a %T", app)
	}
	n := &announcer{app: a, events: events, queue: make(chan announcement, maxAnnounced)}
	a.settings.Notifier, a.announcer = n, n
	announcers.join(n)
	go n.run()
	return nil
}

// run emits events. Before Caddy has started all apps of the configuration, nobody may.
func (a *announcer) run() {
	if !a.app.awaitActive(context.Background()) {
		return
	}
	a.active.Store(true)
	for {
		select {
		case <-a.app.inForce.Done():
			return
		case next := <-a.queue:
			if a.app.inForce.Err() != nil {
				announcers.announce(a, next)
				return
			}
			if a.events.ShouldEmit(next.name) {
				a.events.Emit(a.app.ctx, next.name, next.data)
			}
		}
	}
}

// awaitActive waits until the configuration is Caddy's, and returns false if it is not going to be.
func (a *App) awaitActive(ctx context.Context) bool {
	again := time.NewTicker(awaitActiveEvery)
	defer again.Stop()
	for !a.isActive() {
		select {
		case <-a.inForce.Done():
			return false
		case <-ctx.Done():
			return false
		case <-again.C:
		}
	}
	return true
}

// isActive says whether the configuration is Caddy's, all of whose apps have started.
func (a *App) isActive() bool {
	active, err := caddy.ActiveContext().AppIfConfigured("webhooks")
	return err == nil && active == any(a)
}

func (a *announcer) announce(name string, data map[string]any) {
	announcers.announce(a, announcement{name, data})
}

// take has an event emitted, unless too many wait.
func (a *announcer) take(event announcement) {
	select {
	case a.queue <- event:
	default:
		metrics.unannounced.Inc()
		if a.mayTell() {
			a.app.log.Error("some of Caddy's events were not emitted, since their handlers are too slow", zap.String("event", event.name))
		}
	}
}

// lose counts events that nobody emits any more, but for those that nobody wants.
func (a *announcer) lose(all ...announcement) {
	lost := 0
	for _, event := range all {
		if a.events == nil || a.events.ShouldEmit(event.name) {
			lost++
		}
	}
	if lost == 0 {
		return
	}
	metrics.unannounced.Add(float64(lost))
	if a.mayTell() {
		a.app.log.Error("some of Caddy's events were not emitted, since Caddy stopped before", zap.Int("events", lost))
	}
}

// mayTell says whether the log may be told of events that were dropped.
func (a *announcer) mayTell() bool {
	last, now := a.told.Load(), time.Now().UnixNano()
	return now-last >= int64(tellUnannouncedEvery) && a.told.CompareAndSwap(last, now)
}

// DeliveryFailed implements delivery.Notifier.
func (a *announcer) DeliveryFailed(last *delivery.Request) {
	// What becomes of an event about one of these raises none, or it would never end.
	if strings.HasPrefix(last.EventType, ownEvents) || !announcers.wants(a, eventDeliveryFailed) {
		return
	}
	a.announce(eventDeliveryFailed, map[string]any{
		"tenant": last.Tenant, "webhook_id": last.WebhookID.String(),
		"event_id": last.EventID.String(), "event_type": last.EventType,
		"request_id": last.ID.String(), "attempts": last.Attempt, "error": last.Error,
	})
}

// WebhookDisabled implements delivery.Notifier.
func (a *announcer) WebhookDisabled(w *delivery.Webhook, eventType string) {
	if strings.HasPrefix(eventType, ownEvents) || !announcers.wants(a, eventWebhookDisabled) {
		return
	}
	a.announce(eventWebhookDisabled, map[string]any{
		"tenant": w.Tenant, "webhook_id": w.ID.String(), "reason": string(w.DisabledReason),
	})
}

// StoreAvailable implements delivery.Notifier. It tells what admins may read.
func (a *announcer) StoreAvailable(partition int, err error) {
	data := make(map[string]any)
	if partition != delivery.AllPartitions {
		data["partition"] = partition
	}
	if err == nil {
		a.announce(eventStoreAvailable, data)
		return
	}
	data["reason"] = delivery.Reasons(err)
	a.announce(eventStoreUnavailable, data)
}

// Interface guard
var _ delivery.Notifier = (*announcer)(nil)
