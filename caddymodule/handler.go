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

// Handler serves the HTTP API of webhooks and the page for admins. Applications
// emit events to it, and admins manage webhooks and read the log of requests.
//
// Paths are relative to where the handler is mounted: put it into a `handle_path`.
// It answers unknown paths with 404 and never calls the next handler. Without
// tokens, an admin user or `insecure_no_auth`, it answers every call with 401,
// except `GET /api/health` and `GET /api/openapi.json`.
type Handler struct {
	// Bearer tokens for emitters, who can emit events and read which types there
	// are. Set several to rotate them, or for tenants of their own. Default: none.
	EmitTokens []Token `json:"emit_tokens,omitempty"`

	// Bearer tokens for viewers, who can read everything that admins can, and change
	// nothing. Browsers can send them as the password of Basic credentials, with any
	// user name. Default: none.
	ViewerTokens []Token `json:"viewer_tokens,omitempty"`

	// Bearer tokens for admins, who can do everything. Browsers can send them as
	// the password of Basic credentials, with any user name. Default: none.
	AdminTokens []Token `json:"admin_tokens,omitempty"`

	// A placeholder that is evaluated for each request: if it is not empty, the
	// caller is an admin. It must be one that only authentication sets:
	// one of `{http.auth.user.*}`; a header such as
	// `{http.request.header.Remote-User}`, if clients cannot send it themselves; a
	// variable such as `{http.vars.user}`; or a field of the client's certificate
	// such as `{http.request.tls.client.subject}`, if `client_auth` verifies
	// certificates, which its modes `request` and `require` do not. Default:
	// `{http.auth.user.id}`, anyone who logged in through Caddy.
	AdminUser string `json:"admin_user,omitempty"`

	// The tenant whose webhooks, events and requests the calls are about: 1 to 128
	// characters of `A-Za-z0-9._-`. It can contain placeholders, which are evaluated
	// for each request. Default: `default`.
	Tenant string `json:"tenant,omitempty"`

	// Whether everyone on this machine is an admin: whoever connects from a loopback
	// address, not by a proxy that says so, and calls localhost, a loopback address or a
	// host that a site of the same server names. Use it only to try things out.
	// Default: false.
	InsecureNoAuth bool `json:"insecure_no_auth,omitempty"`

	app    *App
	access access
	tenant requestText // with global placeholders replaced; it may be no valid tenant
	// serving ends when the server begins to shut down. The shutdown then waits for
	// all requests.
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
	h.access.log = ctx.Logger()
	h.warn(ctx.Logger())
	if h.InsecureNoAuth {
		ctx.Logger().Warn("insecure_no_auth is set: everyone on this machine who reaches this handler is an admin")
	}
	app, err := appOf(ctx)
	h.app = app
	return err
}

// Cleanup ends what would go on.
func (h *Handler) Cleanup() error {
	h.stopServing()
	return nil
}

// ServeHTTP answers every request itself.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	app, release := h.app.hold()
	if app == nil {
		return api.Unavailable(w, r, "The configuration has just changed. Try again.")
	}
	defer release()
	by := h.access.caller(r, h.tenant.of(r))
	by.Serving = h.serving
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		by.URL = original.URL
	}
	if app.Audit && by.Role == api.Admin && r.Method != http.MethodGet && r.Method != http.MethodHead {
		by.By, by.Address = h.access.by(r), clientAddress(r)
	}
	return app.api.Serve(w, r, by)
}

// hold takes the app that serves a call, and keeps its engine until release is
// called: a call that runs while a reload replaces the store must not lose it
// half-way. The app is nil if there is none any more.
func (a *App) hold() (app *App, release func()) {
	for app := a.orInForce(); ; {
		if release, ok := app.engine.Hold(); ok {
			return app, release
		}
		before := app
		if app = a.orInForce(); app == before {
			return nil, nil
		}
	}
}

// orInForce is the app of the configuration that Caddy runs. At a reload that is
// not always the handler's: servers take calls before their configuration comes
// into force, with a store that may not be open yet, and go on for a moment after
// it has been replaced, with one that nobody sends from.
func (a *App) orInForce() *App {
	module, err := caddy.ActiveContext().AppIfConfigured("webhooks")
	if app, ok := module.(*App); ok && err == nil {
		return app
	}
	return a
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
