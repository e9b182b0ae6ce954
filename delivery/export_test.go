package delivery

import "github.com/caddy-webhooks/caddy-webhooks/delivery/sender"

// SendWith makes the engine send through a Sender of the test's, where the
// network's time would not be the test's.
func (e *Engine) SendWith(s Sender) { e.SendFrom(func(*sender.Config) Sender { return s }) }

// SendFrom makes the engine send through Senders of the test's, by what they are configured by.
func (e *Engine) SendFrom(newSender func(*sender.Config) Sender) { e.newSender = newSender }

// FirstWindow is how many requests a webhook may have in flight at first.
const FirstWindow = firstWindow

// LeaseMargin is how much longer than the timeout a lease lasts.
const LeaseMargin = leaseMargin

// Observed is a store whose failures an observer is told.
func Observed(s Store, o Observer) Store { return &observedStore{Store: s, observer: o} }

// MaxTenantSendNow is how many re-runs and tests of one tenant may be in flight.
const MaxTenantSendNow = maxTenantSendNow
