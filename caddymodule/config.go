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
	if a.types, err = a.resolveEventTypes(repl); err != nil {
		return err
	}
	a.settings.AnyEventType = a.types.Any()
	if a.settings.Destinations, err = a.Destinations.resolve(repl); err != nil {
		return fmt.Errorf("destinations: %w", err)
	}
	if err := a.settings.Validate(); err != nil {
		return err
	}
	if err := a.Retry.check(); err != nil {
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
	if a.settings.DisableAfter > a.settings.Retention {
		return fmt.Errorf("disable_after (%s) must not be longer than the retention (%s), since it is judged from the log", a.settings.DisableAfter, a.settings.Retention)
	}
	if a.Audit {
		a.settings.AuditOwn = api.AuditOwn
	}
	if err := a.checkEmitQueue(); err != nil {
		return err
	}
	if a.maxEventSize, err = a.eventSize(); err != nil {
		return err
	}
	return a.resolveWebhooks(repl)
}

// numbers are the settings that need nothing replaced.
func (a *App) numbers() delivery.Settings {
	s := delivery.DefaultSettings()
	s.StandardWebhooks = a.StandardWebhooks
	s.DisableOnGone, s.DisableAfter = a.DisableOnGone, time.Duration(a.DisableAfter)
	if a.StandardWebhooks {
		s.Retry.RetryAfter = standardRetryAfter
	}
	a.Retry.apply(&s.Retry)
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
		s.CountStored = a.Limits.Stored > 0
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
