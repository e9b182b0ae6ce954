package caddymodule

import (
	"context"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler serves the HTTP API of webhooks: applications emit events to it, and
// admins manage webhooks and read the log of requests. Paths are relative to
// where it is mounted; a path that it does not know is answered with 404, so
// nothing that follows it in the route is ever reached.
//
// Without a token, an admin user or `insecure_no_auth`, every call but
// `GET /api/health` and `GET /api/openapi.json` is answered with 401.
type Handler struct {
	// Bearer tokens of emitters, who may emit events and nothing else. Several,
	// to rotate them. Takes global placeholders such as `{env.EMIT_TOKEN}`; one
	// that turns out empty is an error. Default: none.
	EmitTokens []string `json:"emit_tokens,omitempty"`

	// Bearer tokens of admins, who may do everything. They are also taken as the
	// password of Basic credentials, under any user name. Takes global
	// placeholders. Default: none.
	AdminTokens []string `json:"admin_tokens,omitempty"`

	// A placeholder, replaced at each request: whenever it is not empty, the
	// caller is an admin. It must be one that only authentication sets: of
	// `{http.auth.user.*}`; a header, such as `{http.request.header.Remote-User}`,
	// which clients must not be able to send themselves; a variable, such as
	// `{http.vars.user}`; or a field of the client's certificate, such as
	// `{http.request.tls.client.subject}`, if `client_auth` verifies certificates,
	// since its modes `request` and `require` take anyone's. Default:
	// `{http.auth.user.id}`, whoever Caddy's own authentication let in.
	AdminUser string `json:"admin_user,omitempty"`

	// Whose webhooks, events and requests the calls are about: 1 to 128 of
	// `A-Za-z0-9._-`, or with placeholders, which are replaced at each request.
	// Default: `default`.
	Tenant string `json:"tenant,omitempty"`

	// Whether everyone is an admin. For a laptop. Default: false.
	InsecureNoAuth bool `json:"insecure_no_auth,omitempty"`

	app    *App
	access access
	tenant string // with global placeholders replaced
	// serving ends when the server begins to shut down, which is over only when all
	// requests are.
	serving     context.Context
	stopServing context.CancelFunc
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.webhooks",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision resolves and checks the configuration and finds the app.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.serving, h.stopServing = context.WithCancel(context.Background())
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		server.RegisterOnShutdown(h.stopServing)
	}
	repl := caddy.NewReplacer()
	var err error
	if h.access, err = h.newAccess(repl); err != nil {
		return fmt.Errorf("webhooks: %w", err)
	}
	if h.tenant, err = h.newTenant(repl); err != nil {
		return fmt.Errorf("webhooks: %w", err)
	}
	if h.InsecureNoAuth {
		ctx.Logger().Warn("insecure_no_auth is set: whoever reaches this handler is an admin")
	}
	module, err := ctx.App("webhooks")
	if err != nil {
		return err
	}
	app, ok := module.(*App)
	if !ok {
		return fmt.Errorf("webhooks: the app is a %T", module)
	}
	h.app = app
	return nil
}

// Cleanup ends what would go on.
func (h *Handler) Cleanup() error {
	h.stopServing()
	return nil
}

// ServeHTTP answers every request itself.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	app, release := h.hold()
	if app == nil {
		return api.Unavailable(w, "The configuration has just changed. Try again.")
	}
	defer release()
	by := api.Caller{Role: h.access.role(r), Tenant: h.requestTenant(r), Serving: h.serving}
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		by.URL = original.URL
	}
	return app.api.Serve(w, r, by)
}

// hold takes the app that serves a call, and keeps its engine until release is
// called: a call that runs while a reload replaces the store must not lose it
// half-way. The app is nil if there is none any more.
func (h *Handler) hold() (app *App, release func()) {
	for app := h.appInForce(); ; {
		if release, ok := app.engine.Hold(); ok {
			return app, release
		}
		before := app
		if app = h.appInForce(); app == before {
			return nil, nil
		}
	}
}

// appInForce is the app of the configuration that Caddy runs. At a reload that is
// not always the handler's: servers take calls before their configuration comes
// into force, with a store that may not be open yet, and go on for a moment after
// it has been replaced, with one that nobody sends from.
func (h *Handler) appInForce() *App {
	module, err := caddy.ActiveContext().AppIfConfigured("webhooks")
	if app, ok := module.(*App); ok && err == nil {
		return app
	}
	return h.app
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
