package delivery

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/backoff"
)

const (
	releaseTime       = time.Second
	releaseBackoff    = 50 * time.Millisecond
	maxReleaseBackoff = time.Second
)

// release has a lease given back to the store, without waiting.
func (e *Engine) release(l Lease) { e.at(l.Webhook.Tenant).releases.AddAsync(l) }

// giveBack gives leases back to a partition. While that fails it tries again, until they
// have ended by themselves or this process stops.
func (e *Engine) giveBack(p *partition, leases []Lease) {
	again := backoff.Backoff{First: releaseBackoff, Most: maxReleaseBackoff}
	ends := time.Now().Add(e.active.Load().lease())
	for {
		ctx, cancel := context.WithTimeout(context.Background(), releaseTime)
		err := e.store.Release(ctx, leases)
		cancel()
		if err == nil {
			e.dispatcher.claimIn(p.number, 0)
			return
		}
		if time.Now().After(ends) || again.Wait(*e.running.Load()) != nil {
			e.log().Debug("cannot give deliveries back to the store; they will be sent when their leases end", zap.Error(err))
			return
		}
	}
}
