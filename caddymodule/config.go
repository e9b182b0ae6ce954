package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-webhooks/caddy-webhooks/api"
	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Retry says how many attempts a delivery has, and when failed ones are repeated.
type Retry struct {
	// How many attempts a delivery has in all, including the first; 1 to 100.
	// Default: 3.
	Attempts int `json:"attempts,omitempty"`

	// The time from the end of a failed attempt until the next one is due.
	// Default: 2m.
	Delay *caddy.Duration `json:"delay,omitempty"`

	// A random time that is added to each delay, so that deliveries that failed
	// together are not all repeated together. Default: 1s to 60s.
	Jitter *Jitter `json:"jitter,omitempty"`
}

// Jitter bounds a random duration, drawn uniformly.
type Jitter struct {
	// The shortest. Default: 0.
	Min caddy.Duration `json:"min,omitempty"`

	// The longest. Default: 0.
	Max caddy.Duration `json:"max,omitempty"`
}

const defaultMaxEventSize = 1 << 20

// resolve replaces placeholders and fills in the settings.
func (a *App) resolve(repl *caddy.Replacer) error {
	var err error
	a.settings = a.numbers()
	if a.SignatureHeader != "" {
		if a.settings.SignatureHeader, err = resolve(repl, a.SignatureHeader); err != nil {
			return fmt.Errorf("signature_header %w", err)
		}
	}
	if err := checkSignatureHeader(a.settings.SignatureHeader); err != nil {
		return err
	}
	names, err := resolveAll(repl, a.EventTypes)
	if err != nil {
		return fmt.Errorf("event_types: one %w", err)
	}
	if a.types, err = api.NewEventTypes(names); err != nil {
		return err
	}
	a.settings.AnyEventType = a.types.Any()
	if a.settings.Destinations, err = a.Destinations.resolve(repl); err != nil {
		return fmt.Errorf("destinations: %w", err)
	}
	if err := a.settings.Validate(); err != nil {
		return err
	}
	if err := a.Limits.check(); err != nil {
		return err
	}
	if a.keyring, err = resolveKeyring(repl, a.EncryptionKeys, a.EncryptPayloads); err != nil {
		return fmt.Errorf("encryption_key: %w", err)
	}
	if a.EncryptPayloads && a.keyring == nil {
		return errors.New("encrypt_payloads needs an encryption_key")
	}
	a.maxEventSize, err = a.eventSize()
	return err
}

// numbers are the settings that need nothing replaced.
func (a *App) numbers() delivery.Settings {
	s := delivery.DefaultSettings()
	s.StandardWebhooks = a.StandardWebhooks
	if r := a.Retry; r != nil {
		if r.Attempts != 0 {
			s.Retry.Attempts = r.Attempts
		}
		if r.Delay != nil {
			s.Retry.Delay = time.Duration(*r.Delay)
		}
		if r.Jitter != nil {
			s.Retry.JitterMin, s.Retry.JitterMax = time.Duration(r.Jitter.Min), time.Duration(r.Jitter.Max)
		}
	}
	if a.Timeout != 0 {
		s.Timeout = time.Duration(a.Timeout)
	}
	if a.Concurrency != 0 {
		s.Concurrency = a.Concurrency
		s.ConcurrencyPerWebhook = min(s.ConcurrencyPerWebhook, s.Concurrency)
	}
	if a.ConcurrencyPerWebhook != 0 {
		s.ConcurrencyPerWebhook = a.ConcurrencyPerWebhook
	}
	if a.Retention != 0 {
		s.Retention = time.Duration(a.Retention)
	}
	if a.Limits != nil {
		s.TenantFollowers = a.Limits.Streams
		s.TenantWebhooks = a.Limits.Webhooks
	}
	if a.MaxResponseSize != nil {
		s.MaxResponseSize = int(*a.MaxResponseSize)
	}
	return s
}

func (a *App) eventSize() (int64, error) {
	switch {
	case a.MaxEventSize == 0:
		return defaultMaxEventSize, nil
	case a.MaxEventSize < 0 || a.MaxEventSize > api.MaxArraySize:
		return 0, fmt.Errorf("max_event_size must be 1 to %d bytes, not %d", api.MaxArraySize, a.MaxEventSize)
	default:
		return a.MaxEventSize, nil
	}
}

func checkSignatureHeader(name string) error {
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return errors.New("signature_header must be the name of an HTTP header: letters, digits and hyphens, such as X-Level-Signature")
	case hasMeaningInRequests(name) || strings.HasPrefix(http.CanonicalHeaderKey(name), "X-Forwarded-"):
		return fmt.Errorf("signature_header must not be %s, which means something else in a request: choose a name of your own, such as X-Example-Signature", name)
	default:
		return nil
	}
}
