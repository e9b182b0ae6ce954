package caddymodule

import (
	"encoding/json"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

func init() {
	caddy.RegisterModule(Admin{})
}

// Admin is what Caddy's own admin endpoint tells of webhooks, at `/webhooks/health` and
// `/webhooks/info`, for probes and for people on this machine. It only reads, and needs no
// configuration: that endpoint has no authentication of its own. Whoever may reach it is also
// told the addresses and paths that health has.
type Admin struct{}

// CaddyModule returns the Caddy module information.
func (Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.webhooks",
		New: func() caddy.Module { return new(Admin) },
	}
}

// Routes returns the routes.
func (Admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/webhooks/health", Handler: readOnly(adminHealth)},
		{Pattern: "/webhooks/info", Handler: readOnly(adminInfo)},
	}
}

// readOnly answers by what a function says of the app in force. Without an app there is
// nothing to be asked, which is 404; while it changes, or Caddy starts, it is 503.
func readOnly(answer func(r *http.Request, app *App) (status int, body any)) caddy.AdminHandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			return writeAdmin(w, http.StatusMethodNotAllowed, adminError{"This path accepts only GET and HEAD."})
		}
		own := (*App)(nil).orInForce()
		if own == nil {
			return writeAdmin(w, http.StatusNotFound, adminError{"The configuration that Caddy runs has no webhooks."})
		}
		app, release := own.hold()
		if app == nil {
			return writeAdmin(w, http.StatusServiceUnavailable, adminError{"The configuration has just changed. Try again."})
		}
		defer release()
		status, body := answer(r, app)
		return writeAdmin(w, status, body)
	}
}

// adminError is an answer in the form of Caddy's own.
type adminError struct {
	Error string `json:"error"`
}

func writeAdmin(w http.ResponseWriter, status int, body any) error {
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(body)
}

// adminHealth says whether webhooks work, and if not, why, in the words of the log.
func adminHealth(r *http.Request, app *App) (int, any) {
	if err := app.engine.Health(r.Context()); err != nil {
		return http.StatusServiceUnavailable, adminError{err.Error()}
	}
	return http.StatusOK, map[string]string{"status": "ok"}
}

// adminCounts is what an engine counts. Pending is of all processes, and missing while the store
// does not answer.
type adminCounts struct {
	Partitions int    `json:"partitions"`
	InFlight   int64  `json:"requests_in_flight"`
	Unwritten  int64  `json:"outcomes_unwritten"`
	Pending    *int64 `json:"deliveries_pending"`
	SetAside   int64  `json:"records_set_aside"`
}

// adminInfo says what runs here.
func adminInfo(_ *http.Request, app *App) (int, any) {
	stats := app.engine.Stats()
	info := struct {
		Version string      `json:"version"`
		Store   string      `json:"store"`
		Counts  adminCounts `json:"counts"`
	}{
		Version: api.Version(), Store: app.store.Identity(),
		Counts: adminCounts{
			Partitions: len(app.engine.PartitionsHealth()), InFlight: stats.InFlight, Unwritten: stats.Unwritten,
			SetAside: app.engine.SetAside(),
		},
	}
	if n, ok := pendingDeliveries([]*pooledEngine{app.engine}); ok {
		info.Counts.Pending = &n
	}
	return http.StatusOK, info
}

// Interface guard
var _ caddy.AdminRouter = Admin{}
