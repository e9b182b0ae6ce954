package delivery

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"
)

// AllEventTypes stands for every event type, including those added later, if it is the
// only one of a webhook.
const AllEventTypes = "*"

// MaxWebhooks is how many webhooks a tenant may have.
const MaxWebhooks = 10_000

// Webhook is a subscription of one tenant: where events go, and which.
type Webhook struct {
	Tenant      string
	ID          uuid.UUID
	URL         string
	Secret      string // only the signer and the store see it
	Description string
	Enabled     bool
	EventTypes  []string
	CreatedAt   time.Time
	UpdatedAt   time.Time
	// Headers are sent along with each request: see Settings.CheckHeaderName.
	Headers map[string]string
	// Authorization is how requests authenticate, nil if they do not.
	Authorization *Authorization
	// ClientCertificate is for mutual TLS, nil for none.
	ClientCertificate *ClientCertificate
	// Timeout of one request, zero for the configuration's.
	Timeout time.Duration
	// Metadata is the admins' own.
	Metadata map[string]string
	// Filter is an expression: see expression.Filter. "" for all events.
	Filter string
	// Transform is an expression that makes the body of requests: see expression.Transform. "" for
	// the envelope.
	Transform string
	// OrderBy is an expression whose text says which deliveries go one at a time, in the order of
	// acceptance: see expression.OrderBy. "" for side by side.
	OrderBy string
	// DisabledAt is when it was disabled, zero while it is enabled: see DisabledSince.
	DisabledAt time.Time
	// DisabledReason is why it was disabled, "" while it is enabled: see WhyDisabled.
	DisabledReason DisabledReason
	// Retry is how its deliveries are tried again, nil for as the configuration says.
	Retry *Retry
	// Concurrency is how many requests to it are in flight in each process; 0: as many as the
	// configuration says.
	Concurrency int
	// RateLimit is how many requests to it may begin in a time, nil for as many as there are.
	RateLimit *RateLimit
	// SecretChangedAt is when Secret was given its present value, zero if that is not known.
	SecretChangedAt time.Time
	// PreviousSecret signs, too, until PreviousSecretUntil: see RotateSecret. "" for none.
	PreviousSecret      string
	PreviousSecretUntil time.Time
	// Declared says that the configuration made it, which alone changes it: see
	// Settings.Webhooks.
	Declared bool
}

// MaxConcurrency is the largest Concurrency of a webhook.
const MaxConcurrency = 1000

// DisabledSince is when the webhook was disabled, zero if it is enabled. For webhooks
// that were disabled before DisabledAt was kept it is their last change.
func (w *Webhook) DisabledSince() time.Time {
	switch {
	case w.Enabled:
		return time.Time{}
	case w.DisabledAt.IsZero():
		return w.UpdatedAt
	default:
		return w.DisabledAt
	}
}

// Credentials are what of the webhook may be seen by nobody but its requests and the store.
type Credentials struct{ Secret, PreviousSecret, Authorization, PrivateKey string }

// ClientCertificate is what requests tell the endpoint in TLS, PEM. It never changes.
type ClientCertificate struct{ Certificate, PrivateKey string }

// Credentials of the webhook.
func (w *Webhook) Credentials() Credentials {
	c := Credentials{Secret: w.Secret, PreviousSecret: w.PreviousSecret}
	if w.Authorization != nil {
		c.Authorization = w.Authorization.Credential
	}
	if w.ClientCertificate != nil {
		c.PrivateKey = w.ClientCertificate.PrivateKey
	}
	return c
}

// OldestFirst orders a tenant's webhooks by when they were created.
func OldestFirst(a, b *Webhook) int {
	return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), bytes.Compare(a.ID[:], b.ID[:]))
}

// Ref names the webhook.
func (w *Webhook) Ref() WebhookRef { return WebhookRef{w.Tenant, w.ID} }

// Wants says whether events of the type go to this webhook now.
func (w *Webhook) Wants(eventType string) bool {
	return w.Enabled && w.hasType(eventType)
}

// hasType says whether the type is one of the webhook's.
func (w *Webhook) hasType(eventType string) bool {
	return slices.Contains(w.EventTypes, eventType) || slices.Contains(w.EventTypes, AllEventTypes)
}

// WebhookRef names a webhook: its tenant says where the store keeps it.
type WebhookRef struct {
	Tenant string
	ID     uuid.UUID
}
