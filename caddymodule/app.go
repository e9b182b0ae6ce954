package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/api"
	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

func init() {
	caddy.RegisterModule(new(App))
}

// App sends webhooks. It stores the events that the `webhooks` HTTP handler
// accepts, delivers each one to every webhook that subscribes to its type, retries
// deliveries that fail, and logs every request.
//
// Strings can contain global placeholders such as `{file./run/secrets/redis}` or
// `{env.REDIS_PASSWORD}`. A placeholder without a value is an error, and so is one
// whose value has invisible characters. The app connects to nothing before it
// starts. It also starts while its store cannot be reached: until then, calls are
// answered with 503.
type App struct {
	// The store, which keeps webhooks, events, pending deliveries and the log.
	// Default: `embedded`, in Caddy's data folder.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=webhooks.stores inline_key=module"`

	// The types of events that can be emitted, each of 1 to 128 printable
	// characters, up to 1,000. A single `*` accepts any name, of which the log of a tenant
	// may have 1,000: an event of another type is refused. Default: none if types are
	// declared (`declared_event_types`), else `alert_active`,
	// `alert_resolved`, `device_created`, `device_deleted`, `device_updated`,
	// `group_created`, `group_deleted`, `group_updated`.
	EventTypes []string `json:"event_types,omitempty"`

	// Types of events that are declared with a description, a schema or an example, beside
	// or in place of `event_types`. Default: none.
	DeclaredEventTypes []EventType `json:"declared_event_types,omitempty"`

	// Webhooks that are declared here, beside those that are made by the API; up to 1,000.
	// All Caddys on a store should declare the same ones: what the one that was started last
	// does not declare is disabled. Default: none.
	Webhooks []Webhook `json:"webhooks,omitempty"`

	// The header with the signature, which is `sha256=` and the hex HMAC-SHA256 of
	// the body. Only requests to webhooks with a secret have it. It must not be a
	// header that means something else in a request. Default: `X-Level-Signature`.
	SignatureHeader string `json:"signature_header,omitempty"`

	// Whether requests also carry the headers of Standard Webhooks
	// (https://www.standardwebhooks.com): `webhook-id`, `webhook-timestamp` and,
	// with a secret, `webhook-signature`. Default: false.
	StandardWebhooks bool `json:"standard_webhooks,omitempty"`

	// How many attempts a delivery has, and when failed ones are repeated. Default:
	// 3 attempts, each 2 minutes and 1 to 60 seconds after the one before.
	Retry *Retry `json:"retry,omitempty"`

	// How long one request may take, from connecting to the last byte of the
	// response; at most 10m. Default: 15s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// How many requests this process has in flight at most; 2 to 65536. A higher
	// number delivers faster to many endpoints, and takes more memory and sockets.
	// Re-runs and tests are extra: up to 64, and a first one for each of 64 more
	// tenants. Default: 512.
	Concurrency int `json:"concurrency,omitempty"`

	// How many of these requests can go to one webhook. Default: 32, or
	// `concurrency` if that is less.
	ConcurrencyPerWebhook int `json:"concurrency_per_webhook,omitempty"`

	// How long events and requests are kept; at least 1h. Default: 14d.
	Retention caddy.Duration `json:"retention,omitempty"`

	// The largest event, in bytes; at most 16 MiB, which is also the limit of an
	// array of events. Default: 1 MiB.
	MaxEventSize int64 `json:"max_event_size,omitempty"`

	// How many bytes of a response body the log keeps; 0 to 16 MiB. A request
	// fails if the body is longer than this and longer than 1 MiB. Default: 16 KiB.
	MaxResponseSize *int64 `json:"max_response_size,omitempty"`

	// Where requests can go. Default: to https URLs at public addresses.
	Destinations *Destinations `json:"destinations,omitempty"`

	// Keys of 32 bytes, in base64 or hex, with which the store encrypts the secrets of
	// webhooks. The first one encrypts, all decrypt: to change it, put the new one in
	// front, and take the old one away once health says that all is encrypted anew.
	// Whoever loses the keys loses the secrets. Default: none, secrets are stored in
	// clear.
	EncryptionKeys []string `json:"encryption_keys,omitempty"`

	// Whether events, and what endpoints answer, are encrypted, too. It needs a key, and
	// takes some microseconds for each event. What was stored before stays in clear until
	// it is removed after `retention`. Default: false.
	EncryptPayloads bool `json:"encrypt_payloads,omitempty"`

	// Whether changes are audited: who creates, changes, deletes or tests a webhook, or
	// runs a request again, stands in Caddy's log, of the logger `webhooks.audit`, and
	// for the retention at `GET /api/audit`. Default: false.
	Audit bool `json:"audit,omitempty"`

	// What each tenant may have at most. Default: only the limits that always hold.
	Limits *Limits `json:"limits,omitempty"`

	// Whether a webhook is disabled whose endpoint responds with 410 Gone. Its pending
	// deliveries wait until somebody enables it again. Default: false.
	DisableOnGone bool `json:"disable_on_gone,omitempty"`

	// After how long a webhook is disabled that has had ten requests or more, and nothing but
	// failures for so long, each counted from its last change; at least 1s, and no longer
	// than `retention`. It is judged when a request fails. Default: never.
	DisableAfter caddy.Duration `json:"disable_after,omitempty"`

	// How many bytes the events of `webhooks_emit` that wait for the store can take in memory,
	// with the bodies that are being read for such events and the answers that wait with `strict`;
	// 1 MiB to 16 GiB. What has no room is lost, or answered with 502 with `strict`. A tenant can
	// have half of what is left. Default: 64 MiB.
	EmitQueue int64 `json:"emit_queue,omitempty"`

	ctx          caddy.Context
	settings     delivery.Settings
	types        *api.EventTypes
	maxEventSize int64
	store        StoreModule
	engine       *pooledEngine
	poolKey      string // of the engine, "" unless it was acquired
	detach       func() // nil unless attached
	announcer    *announcer
	log          *zap.Logger
	api          *api.API
	keyring      *encryption.Keyring // nil without a key
	// inForce ends when the configuration is replaced.
	inForce  context.Context
	replaced context.CancelFunc
}

// intake is the memory that this process has for bodies, whatever configuration they come
// under.
var intake = api.NewIntake()

// eventRate is what tenants have emitted lately, under whatever configuration.
var eventRate = api.NewEventRate()

var defaultStore = json.RawMessage(`{"module":"embedded"}`)

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "webhooks",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision resolves and checks the configuration and takes the engine of its
// store out of the pool. It does no I/O but reading the files that the
// configuration names, so that validating touches no store.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.log = ctx, ctx.Logger()
	a.inForce, a.replaced = context.WithCancel(context.Background())
	if err := metrics.register(ctx.GetMetricsRegistry()); err != nil {
		return fmt.Errorf("webhooks: registering metrics: %w", err)
	}
	if err := a.resolve(caddy.NewReplacer()); err != nil {
		return fmt.Errorf("webhooks: %w", err)
	}
	if a.StoreRaw == nil {
		a.StoreRaw = defaultStore
	}
	module, err := ctx.LoadModule(a, "StoreRaw")
	if err != nil {
		return fmt.Errorf("webhooks: loading the store: %w", err)
	}
	store, ok := module.(StoreModule)
	if !ok {
		return fmt.Errorf("webhooks: the module %T is not a store", module)
	}
	a.store = store
	if err := useKeyring(store, a.keyring); err != nil {
		return fmt.Errorf("webhooks: encryption_key: %w", err)
	}
	if err := a.acquire(store); err != nil {
		return err
	}
	a.api = api.New(api.Backend{
		Engine: a.engine.Engine, EventTypes: a.types, Settings: &a.settings, MaxEventSize: a.maxEventSize,
		Signing: api.Signing{Header: a.settings.SignatureHeader, StandardWebhooks: a.settings.StandardWebhooks},
		InForce: a.inForce, Log: a.log, Intake: intake, Audit: a.Audit,
		Limits: a.Limits.ofTenant(), EventRate: eventRate,
		EventsRefused: metrics.eventsRefused, Throttled: metrics.callThrottled,
		OtherHealth: gateway.health,
	})
	return nil
}

// appOf is the app of the configuration that a module belongs to.
func appOf(ctx caddy.Context) (*App, error) {
	module, err := ctx.App("webhooks")
	if err != nil {
		return nil, err
	}
	app, ok := module.(*App)
	if !ok {
		return nil, fmt.Errorf("webhooks: the app is a %T", module)
	}
	return app, nil
}

// acquire takes the store's engine out of the pool, or puts a new one in.
func (a *App) acquire(store StoreModule) error {
	key := store.Identity()
	value, _, err := engines.LoadOrNew(key, func() (caddy.Destructor, error) {
		return newPooledEngine(store, a.log)
	})
	if err != nil {
		return fmt.Errorf("webhooks: %w", err)
	}
	a.poolKey = key
	var ok bool
	if a.engine, ok = value.(*pooledEngine); !ok {
		return fmt.Errorf("webhooks: the pool holds a %T", value)
	}
	return nil
}

// Start makes this configuration the engine's, and returns at once: a store that
// is away must not take the sites beside it down.
func (a *App) Start() error {
	if err := sender.OwnAddrsError(); err != nil {
		a.log.Warn("cannot find out this server's own addresses, so requests can go to those that are public; deny them in destinations", zap.Error(err))
	}
	a.warnOfNoKey()
	if err := a.startAnnouncing(); err != nil {
		return fmt.Errorf("webhooks: events: %w", err)
	}
	a.settings.Settled = a.awaitActive
	a.detach = a.engine.attach(a.settings, a.store, a.log)
	gateway.use(a)
	return nil
}

// Stop takes the configuration away from the engine, which goes on with another
// one if a reload has attached it, and otherwise stops sending.
func (a *App) Stop() error {
	if a.replaced != nil {
		a.replaced()
	}
	if a.detach != nil {
		a.detach()
		a.detach = nil
	}
	if a.announcer != nil {
		announcers.leave(a.announcer)
		a.announcer = nil
	}
	return nil
}

// Cleanup is a Stop, for Caddy calls it alone when a load is rolled back, and
// gives the engine back to the pool.
func (a *App) Cleanup() error {
	_ = a.Stop() // never fails
	gateway.leave(a)
	if a.poolKey == "" {
		return nil
	}
	key := a.poolKey
	a.poolKey = ""
	_, err := engines.Delete(key)
	return err
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
