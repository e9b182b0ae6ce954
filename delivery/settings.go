package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// Settings is everything that a configuration can change about a running engine. They
// must not be changed once an engine has them.
type Settings struct {
	// SignatureHeader carries "sha256=" and the hex HMAC of the body.
	SignatureHeader string
	// StandardWebhooks also sends webhook-id, webhook-timestamp and
	// webhook-signature (https://www.standardwebhooks.com).
	StandardWebhooks bool
	UserAgent        string
	Retry            RetryPolicy
	// Timeout of one request, from connecting to the last byte of the response.
	Timeout time.Duration
	// Concurrency is how many requests are in flight in this process, in all.
	Concurrency int
	// ConcurrencyPerWebhook is the same for each webhook.
	ConcurrencyPerWebhook int
	// Retention of events and requests.
	Retention time.Duration
	// MaxResponseSize is how many bytes of a response body the log keeps.
	MaxResponseSize int
	Destinations    sender.Destinations
	// AnyEventType says that emitters name the types of events: then the store is asked
	// whether a tenant may have another one.
	AnyEventType bool
	// TenantFollowers is how many followers the log of a tenant may have in this process;
	// 0 for MaxTenantFollowers.
	TenantFollowers int
	// TenantWebhooks is how many webhooks a tenant may have; 0 for MaxWebhooks.
	TenantWebhooks int
	// CountStored counts what tenants store: see Engine.Stored.
	CountStored bool
	// DisableOnGone has a webhook disabled whose endpoint responds with 410.
	DisableOnGone bool
	// DisableAfter has a webhook disabled that has had ten requests or more, and nothing but
	// failures for so long, neither of it before its last change; 0: never. It is judged when a
	// request fails, from the log, so it should not be longer than Retention.
	DisableAfter time.Duration
	// Webhooks are declared by the configuration: each with its tenant, an id that is always the
	// same, and Declared. When these settings come into force, they are made as they are here,
	// and others that were declared before are disabled.
	Webhooks []Webhook
	// Settled, if not nil, waits until it is sure that these settings stay in force, and says
	// whether they do. Before that, their webhooks are not made: events that come meanwhile would
	// miss those that are disabled.
	Settled func(ctx context.Context) bool
	// Notifier, if not nil, is told of failures.
	Notifier Notifier
	// AuditOwn, if not nil, makes entries of the audit log for what the engine does to webhooks
	// by itself.
	AuditOwn func(by string, action Action) Audit
	// InForce, if not nil, is called whenever these settings come into force,
	// also when those that replaced them are taken away again: for what belongs
	// to the configuration and not to the engine, as the store's credentials do.
	InForce func()
}

// timeout is that of one request to a webhook.
func (s *Settings) timeout(w *Webhook) time.Duration { return cmp.Or(w.Timeout, s.Timeout) }

// lease is how long a delivery is held for one request: one of the longest timeout that a webhook
// was seen to have under this configuration, if the configured one is shorter.
func (a *active) lease() time.Duration {
	return max(a.settings.Timeout, time.Duration(a.longestTimeout.Load())) + leaseMargin
}

// lengthenLeases makes leases from now on long enough for requests with a timeout.
func (a *active) lengthenLeases(timeout time.Duration) {
	for {
		longest := a.longestTimeout.Load()
		if int64(timeout) <= longest || a.longestTimeout.CompareAndSwap(longest, int64(timeout)) {
			return
		}
	}
}

// sender is the part of the settings that the sender of requests reads.
func (s *Settings) sender() *sender.Config {
	return &sender.Config{Destinations: s.Destinations, Concurrency: s.Concurrency}
}

// DefaultSettings are those of the contract.
func DefaultSettings() Settings {
	return Settings{
		SignatureHeader: "X-Level-Signature",
		UserAgent:       "Caddy-Webhooks",
		Retry: RetryPolicy{
			Attempts: 3, Delays: []time.Duration{2 * time.Minute},
			JitterMin: time.Second, JitterMax: time.Minute,
		},
		Timeout:               15 * time.Second,
		Concurrency:           512,
		ConcurrencyPerWebhook: 32,
		Retention:             14 * 24 * time.Hour,
		MaxResponseSize:       16 << 10,
	}
}

// Bounds of a webhook's timeout.
const (
	MinWebhookTimeout = time.Second
	MaxWebhookTimeout = time.Minute
)

// Bounds of settings. Beyond them a value is probably a mistake.
const (
	maxConcurrency = 65_536
	maxTimeout     = 10 * time.Minute
	minRetention   = time.Hour
	maxRetention   = 5 * 366 * 24 * time.Hour
	maxResponse    = 16 << 20

	minDisableAfter = time.Second
)

// Validate returns an error that says what in the settings makes no sense, naming the
// option as the configuration spells it.
func (s *Settings) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(s.SignatureHeader != "", "signature_header is empty")
	check(s.SignatureHeader == "" || canBeForSignatures(s.SignatureHeader), "signature_header must be the name of a header that has no other use in requests, not %q", s.SignatureHeader)
	if err := s.Retry.validate(); err != nil {
		errs = append(errs, err)
	}
	check(s.Timeout > 0 && s.Timeout <= maxTimeout, "timeout must be more than 0 and at most %s, not %s", maxTimeout, s.Timeout)
	check(s.Concurrency >= 2 && s.Concurrency <= maxConcurrency, "concurrency in all must be 2 to %d, not %d", maxConcurrency, s.Concurrency)
	check(s.ConcurrencyPerWebhook >= 1, "concurrency per webhook must be at least 1, not %d", s.ConcurrencyPerWebhook)
	check(s.ConcurrencyPerWebhook <= s.Concurrency, "concurrency per webhook (%d) must not be more than in all (%d)", s.ConcurrencyPerWebhook, s.Concurrency)
	check(s.Retention >= minRetention && s.Retention <= maxRetention, "retention must be %s to %s, not %s", minRetention, maxRetention, s.Retention)
	check(s.MaxResponseSize >= 0 && s.MaxResponseSize <= maxResponse, "max_response_size must be 0 to %d bytes, not %d", maxResponse, s.MaxResponseSize)
	check(s.DisableAfter == 0 || s.DisableAfter >= minDisableAfter && s.DisableAfter <= maxRetention, "disable_after must be %s to %s, not %s", minDisableAfter, maxRetention, s.DisableAfter)
	return errors.Join(append(errs, s.sender().Validate())...)
}
