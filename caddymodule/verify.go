package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/api"
	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/verify"
)

func init() {
	caddy.RegisterModule(new(Verify))
}

// Verify lets through only webhooks of others: requests that are signed rightly, that are
// fresh, if the sender signs a time, and that were not received before. Others are answered
// with 401, and those that are too large with 413. The body is passed on as it came.
//
// A request counts as received once what comes after this handler has answered it with 2xx. So
// senders can repeat what failed. What was received is kept in the store of the `webhooks` app,
// the default one if that is not configured, which several Caddys can share. While the store
// does not answer, requests are refused with 503, which senders repeat.
//
// What comes after can use the placeholders `{http.webhook.id}`, the sender's id of the message,
// and `{http.webhook.timestamp}`, when it was sent, in Unix seconds. They are empty if the
// sender has none.
type Verify struct {
	// How requests are signed: `level`, as by this product, in `X-Level-Signature`;
	// `standard`, by Standard Webhooks; `github`; `stripe`; or `slack`. Required.
	Scheme string `json:"scheme,omitempty"`

	// The secrets that the sender may sign with, 1 to 8. Set two to replace one by another.
	// Use placeholders such as `{env.GITHUB_SECRET}` to keep them out of the configuration.
	// Required.
	Secrets []string `json:"secrets,omitempty"`

	// How far the time of a request may be from now, and so for how long it is remembered, but
	// for an hour at least; 1s to 720h. `level` and `github` sign no time: for these it is only
	// for how long a request is remembered that was received. Default: 5m, and 24h for these.
	Tolerance caddy.Duration `json:"tolerance,omitempty"`

	// The largest body, in bytes; at most 32 MiB. Default: 1 MiB.
	MaxSize int64 `json:"max_size,omitempty"`

	// Handlers that share a secret also share what they have received, unless they have
	// different names. Set it if the same message is sent to several sites under one secret.
	// Default: none.
	Name string `json:"name,omitempty"`

	verifier *verify.Verifier
	guards   []delivery.Guard
	app      *App
	log      *zap.Logger
}

const (
	defaultTolerance  = 5 * time.Minute
	defaultRemembered = 24 * time.Hour
	maxTolerance      = 30 * 24 * time.Hour
	defaultVerifySize = 1 << 20
	maxVerifySize     = 32 << 20
	maxVerifyName     = 128
)

// verifyIntake is the memory that this process has for bodies of others' webhooks, whatever
// configuration they come under: those of the API have their own.
var verifyIntake = api.NewIntake()

// CaddyModule returns the Caddy module information.
func (*Verify) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.webhook_verify",
		New: func() caddy.Module { return new(Verify) },
	}
}

// Provision resolves and checks the configuration and finds the app.
func (v *Verify) Provision(ctx caddy.Context) error {
	v.log = ctx.Logger()
	if err := v.check(); err != nil {
		return fmt.Errorf("webhook_verify: %w", err)
	}
	secrets, err := resolveAll(caddy.NewReplacer(), v.Secrets)
	if err != nil {
		return fmt.Errorf("webhook_verify: secret %w", err)
	}
	for _, secret := range secrets {
		if onePlaceholder.MatchString(secret) { // it would itself be the secret, in plain sight
			return fmt.Errorf("webhook_verify: secret %w", errUnknownPlaceholder)
		}
	}
	if err := v.setDefaults(secrets); err != nil {
		return fmt.Errorf("webhook_verify: secret %w", err)
	}
	app, err := appOf(ctx)
	v.app = app
	return err
}

// setDefaults fills in what is not configured, and makes the verifier.
func (v *Verify) setDefaults(secrets []string) (err error) {
	switch {
	case v.Tolerance != 0:
	case verify.SignsTime(v.Scheme):
		v.Tolerance = caddy.Duration(defaultTolerance)
	default:
		v.Tolerance = caddy.Duration(defaultRemembered)
	}
	if v.MaxSize == 0 {
		v.MaxSize = defaultVerifySize
	}
	if v.verifier, err = verify.New(v.Scheme, secrets, time.Duration(v.Tolerance)); err != nil {
		return err
	}
	for _, guard := range v.verifier.Guards(v.Name) {
		v.guards = append(v.guards, guard)
	}
	return nil
}

// check checks what needs no placeholders.
func (v *Verify) check() error {
	switch n := len(v.Secrets); {
	case v.Scheme == "":
		return errors.New("the scheme is missing: one of " + schemeNames)
	case !isScheme(v.Scheme):
		return fmt.Errorf("there is no scheme '%s': use one of %s", v.Scheme, schemeNames)
	case n == 0:
		return errors.New("secret is missing: give the one that the sender signs with")
	case n > delivery.MaxGuards:
		return fmt.Errorf("there can be %d secrets at most, not %d", delivery.MaxGuards, n)
	case len(v.Name) > maxVerifyName:
		return fmt.Errorf("name must have %d bytes at most", maxVerifyName)
	}
	if t := time.Duration(v.Tolerance); t != 0 && (t < time.Second || t > maxTolerance) {
		return fmt.Errorf("tolerance must be 1s to %s, not %s", maxTolerance, t)
	}
	if v.MaxSize < 0 || v.MaxSize > maxVerifySize {
		return fmt.Errorf("max_size must be 1 to %d bytes, not %d", maxVerifySize, v.MaxSize)
	}
	return nil
}

// ServeHTTP passes a request on if it may go on.
func (v *Verify) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	m, err := v.receive(w, r)
	if err != nil {
		return v.refuse(w, r, err)
	}
	defer m.release()
	return m.pass(w, r, next)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Verify)(nil)
	_ caddyhttp.MiddlewareHandler = (*Verify)(nil)
)
