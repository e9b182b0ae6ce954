package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/api"
	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// maxDeclaredWebhooks is how many webhooks a configuration can declare. All are looked at
// whenever it comes into force.
const maxDeclaredWebhooks = 1000

// maxWebhookName is how many bytes the name of a declared webhook can have.
const maxWebhookName = 128

// Webhook declares a webhook. Nothing but the configuration changes it. It is enabled whenever
// the configuration comes into force, also if its endpoint had it disabled. When it is no longer
// declared it is disabled, and what it was sent stays in the log for the retention.
//
// All texts but `order_by`, `filter` and `transform` can contain global placeholders.
type Webhook struct {
	// A name of its own among those of its tenant; 1 to 128 printable characters. It makes the
	// webhook's id, so that a webhook with another name is another one.
	Name string `json:"name,omitempty"`

	// Whose it is. Default: `default`, which is the tenant where a handler names none.
	Tenant string `json:"tenant,omitempty"`

	// Where events go.
	URL string `json:"url,omitempty"`

	// Signs the requests: best a placeholder, such as `{file./run/secrets/shop}`.
	Secret string `json:"secret,omitempty"`

	// Says what it is for, to people; up to 1,000 characters.
	Description string `json:"description,omitempty"`

	// Whether events are sent to it. Default: true.
	Enabled *bool `json:"enabled,omitempty"`

	// The types of the events that it gets. Default: `*`, all of them.
	EventTypes []string `json:"event_types,omitempty"`

	// Headers that are sent along, up to 20. They are for what is no secret.
	Headers map[string]string `json:"headers,omitempty"`

	// How requests authenticate. Default: not at all.
	Authorization *WebhookAuthorization `json:"authorization,omitempty"`

	// A certificate for mutual TLS. Default: none.
	ClientCertificate *WebhookCertificate `json:"client_certificate,omitempty"`

	// How deliveries are tried again. Default: as the app's `retry` says.
	Retry *WebhookRetry `json:"retry,omitempty"`

	// How long one request may take; 1s to 60s. Default: the app's `timeout`.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// How many requests can be in flight in each process; 1 to 1000. Default: the app's
	// `concurrency_per_webhook`.
	Concurrency int `json:"concurrency,omitempty"`

	// How many requests begin in a time, evenly spaced, by all processes together. Default: as many
	// as there are.
	RateLimit *WebhookRateLimit `json:"rate_limit,omitempty"`

	// An expression (CEL) that gives a text: deliveries with the same text go one at a time, in
	// the order of acceptance. `''` orders all. Default: none, they go side by side.
	OrderBy string `json:"order_by,omitempty"`

	// An expression (CEL): events for which it is not true are not sent. Default: all are.
	Filter string `json:"filter,omitempty"`

	// An expression (CEL) that makes the body of requests. Default: the event's envelope.
	Transform string `json:"transform,omitempty"`

	// Texts by name, up to 20, with which nothing is done.
	Metadata map[string]string `json:"metadata,omitempty"`
}

// WebhookAuthorization says how requests to a webhook authenticate. What there is beside the type
// depends on it.
type WebhookAuthorization struct {
	// `bearer`, `basic`, `header` or `oauth2`.
	Type string `json:"type,omitempty"`

	// Of `bearer`.
	Token string `json:"token,omitempty"`

	// Of `basic`.
	Username string `json:"username,omitempty"`

	// Of `basic`.
	Password string `json:"password,omitempty"`

	// Of `header`: its name.
	Name string `json:"name,omitempty"`

	// Of `header`.
	Value string `json:"value,omitempty"`

	// Of `oauth2`: where tokens come from, by client credentials.
	TokenURL string `json:"token_url,omitempty"`

	// Of `oauth2`.
	ClientID string `json:"client_id,omitempty"`

	// Of `oauth2`.
	ClientSecret string `json:"client_secret,omitempty"`

	// Of `oauth2`. Default: none.
	Scope string `json:"scope,omitempty"`
}

// WebhookCertificate names the files of a certificate, both PEM. They are read when the
// configuration is loaded.
type WebhookCertificate struct {
	// The file with the certificate, or with a chain with the client's first.
	Certificate string `json:"certificate,omitempty"`

	// The file with its key.
	PrivateKey string `json:"private_key,omitempty"`
}

// WebhookRateLimit says how many requests to a webhook begin in a time.
type WebhookRateLimit struct {
	// 1 to 100000.
	Requests int `json:"requests,omitempty"`

	// 1s to 1d.
	Per caddy.Duration `json:"per,omitempty"`
}

// WebhookRetry says how deliveries to a webhook are tried again. What it leaves out is as the app's
// `retry` says.
type WebhookRetry struct {
	// How many attempts a delivery has in all; 1 to 100. Default: with `delays`, one more than
	// there are.
	Attempts int `json:"attempts,omitempty"`

	// The time from the end of each failed attempt until the next one, the last one again and
	// again; 1 to 30 of them.
	Delays []caddy.Duration `json:"delays,omitempty"`

	// A random time that is added to each.
	Jitter *Jitter `json:"jitter,omitempty"`
}

// resolveWebhooks makes the webhooks that are declared.
func (a *App) resolveWebhooks(repl *caddy.Replacer) error {
	if n := len(a.Webhooks); n > maxDeclaredWebhooks {
		return fmt.Errorf("a configuration can declare %d webhooks, not %d", maxDeclaredWebhooks, n)
	}
	rules := &api.Backend{EventTypes: a.types, Settings: &a.settings}
	seen := make(map[uuid.UUID]bool, len(a.Webhooks))
	a.settings.Webhooks = nil
	for i := range a.Webhooks {
		w, err := a.Webhooks[i].resolve(repl, rules)
		if err == nil && seen[w.ID] {
			err = errors.New("it is declared twice")
		}
		if err != nil {
			return fmt.Errorf("webhook %s: %w", a.Webhooks[i].Name, err)
		}
		seen[w.ID] = true
		a.settings.Webhooks = append(a.settings.Webhooks, *w)
	}
	return nil
}

// resolve replaces placeholders, reads files, and makes the webhook if it is valid.
func (w *Webhook) resolve(repl *caddy.Replacer, rules *api.Backend) (*delivery.Webhook, error) {
	r := &resolver{repl: repl}
	name, tenant := r.text("name", w.Name), api.DefaultTenant
	if w.Tenant != "" {
		tenant = r.text("tenant", w.Tenant)
	}
	members := w.members(r)
	if r.err != nil {
		return nil, r.err
	}
	if len(name) > maxWebhookName {
		return nil, fmt.Errorf("the name must have 1 to %d bytes", maxWebhookName)
	}
	if !api.ValidTenant(tenant) {
		return nil, errors.New("tenant must have 1 to 128 of the characters A-Z, a-z, 0-9, '.', '_' and '-'")
	}
	encoded, err := json.Marshal(members)
	if err != nil {
		return nil, err
	}
	made, err := rules.Webhook(encoded)
	if err != nil {
		return nil, err
	}
	made.Tenant, made.ID, made.Declared = tenant, uuid.NewSHA1(uuid.NameSpaceURL, []byte(tenant+"/"+name)), true
	if !made.Enabled {
		made.DisabledReason = delivery.DisabledByConfig
	}
	return made, nil
}

// members are those of the API that the webhook is made of.
func (w *Webhook) members(r *resolver) map[string]any {
	members := map[string]any{"url": r.text("url", w.URL)}
	set := func(name string, value any, there bool) {
		if there {
			members[name] = value
		}
	}
	set("secret", r.option("secret", w.Secret), w.Secret != "")
	set("description", r.option("description", w.Description), w.Description != "")
	set("enabled", w.Enabled, w.Enabled != nil)
	set("event_types", r.texts("event_types", w.EventTypes), w.EventTypes != nil)
	set("headers", r.byName("header", w.Headers), len(w.Headers) > 0)
	set("metadata", r.byName("metadata", w.Metadata), len(w.Metadata) > 0)
	set("timeout", time.Duration(w.Timeout).String(), w.Timeout != 0)
	set("concurrency", w.Concurrency, w.Concurrency != 0)
	set("order_by", w.OrderBy, w.OrderBy != "")
	set("filter", w.Filter, w.Filter != "")
	set("transform", w.Transform, w.Transform != "")
	if w.Authorization != nil {
		members["authorization"] = w.Authorization.resolve(r)
	}
	if c := w.ClientCertificate; c != nil {
		members["client_certificate"] = map[string]string{
			"certificate": r.file("client_certificate certificate", c.Certificate),
			"private_key": r.file("client_certificate private_key", c.PrivateKey),
		}
	}
	if w.Retry != nil {
		members["retry"] = w.Retry.members()
	}
	if l := w.RateLimit; l != nil {
		members["rate_limit"] = map[string]any{"requests": l.Requests, "per": time.Duration(l.Per).String()}
	}
	return members
}

func (a *WebhookAuthorization) resolve(r *resolver) *WebhookAuthorization {
	out := *a
	for name, text := range map[string]*string{
		"token": &out.Token, "username": &out.Username, "password": &out.Password, "name": &out.Name, "value": &out.Value,
		"token_url": &out.TokenURL, "client_id": &out.ClientID, "client_secret": &out.ClientSecret, "scope": &out.Scope,
	} {
		*text = r.option("authorization "+name, *text)
	}
	return &out
}

func (w *WebhookRetry) members() map[string]any {
	members := make(map[string]any)
	if w.Attempts != 0 {
		members["attempts"] = w.Attempts
	}
	if len(w.Delays) > 0 {
		delays := make([]string, len(w.Delays))
		for i, d := range w.Delays {
			delays[i] = time.Duration(d).String()
		}
		members["delays"] = delays
	}
	if w.Jitter != nil {
		members["jitter"] = []string{time.Duration(w.Jitter.Min).String(), time.Duration(w.Jitter.Max).String()}
	}
	return members
}

// resolver replaces placeholders and keeps the first error, which names the option.
type resolver struct {
	repl *caddy.Replacer
	err  error
}

func (r *resolver) fail(option string, err error) {
	if r.err == nil {
		r.err = fmt.Errorf("%s %w", option, err)
	}
}

// text resolves a text that must be there.
func (r *resolver) text(option, value string) string {
	resolved, err := resolve(r.repl, value)
	if err != nil {
		r.fail(option, err)
	}
	return resolved
}

// option resolves one that may be empty.
func (r *resolver) option(name, value string) string {
	if value == "" {
		return ""
	}
	return r.text(name, value)
}

func (r *resolver) texts(option string, values []string) []string {
	resolved, err := resolveAll(r.repl, values)
	if err != nil {
		r.fail("one of "+option, err)
	}
	return resolved
}

func (r *resolver) byName(option string, values map[string]string) map[string]string {
	resolved := make(map[string]string, len(values))
	for name, value := range values {
		resolved[name] = r.option(option+" "+name, value)
	}
	return resolved
}

// file reads the file that a text names.
func (r *resolver) file(option, name string) string {
	name = r.text(option, name)
	if r.err != nil {
		return ""
	}
	content, err := os.ReadFile(name)
	if err != nil {
		r.fail(option, err)
	}
	return string(content)
}
