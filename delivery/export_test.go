package delivery

import (
	"golang.org/x/time/rate"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// SendWith makes the engine send with a Sender of the test's own: a real network would
// not follow the test's clock.
func (e *Engine) SendWith(s Sender) { e.SendFrom(func(*sender.Config) Sender { return s }) }

// SendFrom makes the engine send with Senders that a function of the test's makes from
// their configuration.
func (e *Engine) SendFrom(newSender func(*sender.Config) Sender) { e.newSender = newSender }

// FirstWindow is how many requests a webhook may have in flight at first.
const FirstWindow = firstWindow

// LeaseMargin is how much longer than the timeout a lease lasts.
const LeaseMargin = leaseMargin

// Observed wraps a store so that an observer is told of its failures.
func Observed(s Store, o Observer) Store { return &observedStore{Store: s, observer: o} }

// MaxTenantSendNow is how many re-runs and tests of one tenant may be in flight.
const MaxTenantSendNow = maxTenantSendNow

// RememberLittle makes the engine remember no webhooks whole of a tenant who has more than so
// many bytes of them.
func (e *Engine) RememberLittle(most, single int) {
	e.subscriptions.limits.records, e.subscriptions.single.most = most, single
}

// IntakeInUse is how much of what bounds emits in progress is in use.
func (e *Engine) IntakeInUse() int {
	e.intake.mu.Lock()
	defer e.intake.mu.Unlock()
	return e.intake.used
}

// StoredTenants is of how many tenants it is remembered what they have stored.
func (e *Engine) StoredTenants() (n int) {
	for _, p := range e.allPartitions() {
		p.stored.mu.Lock()
		n += len(p.stored.tenants)
		p.stored.mu.Unlock()
	}
	return n
}

// ReplayAtMost is how many requests of replays begin in a second.
func (e *Engine) ReplayAtMost(perSecond int) { e.replayPace.SetLimit(rate.Limit(perSecond)) }
