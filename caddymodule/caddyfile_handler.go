package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("webhooks", parseHandler)
	// After the authentication of the same site, before its last handlers.
	httpcaddyfile.RegisterDirectiveOrder("webhooks", httpcaddyfile.Before, "reverse_proxy")
}

func parseHandler(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from the Caddyfile:
//
//	webhooks [<matcher>] {
//		emit_token <token>
//		admin_token <token>
//		admin_user <placeholder>
//		tenant <name>
//		insecure_no_auth
//	}
//
// Give a token option several times to rotate tokens.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	if d.NextArg() {
		return d.ArgErr()
	}
	_, err := parseBlock(d, "webhooks", map[string]option{
		"emit_token":  {repeat: true, parse: token(&h.EmitTokens)},
		"admin_token": {repeat: true, parse: token(&h.AdminTokens)},
		"admin_user": {parse: func(d *caddyfile.Dispenser) error {
			if err := text(d, &h.AdminUser); err != nil {
				return err
			}
			if err := checkAdminUser(h.AdminUser); err != nil {
				return d.WrapErr(err)
			}
			return nil
		}},
		"tenant": {parse: func(d *caddyfile.Dispenser) error {
			if err := text(d, &h.Tenant); err != nil {
				return err
			}
			if !hasPlaceholder(h.Tenant) && !api.ValidTenant(h.Tenant) {
				return d.WrapErr(errTenant)
			}
			return nil
		}},
		"insecure_no_auth": {parse: bare(&h.InsecureNoAuth)},
	})
	return err
}

func token(target *[]string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		var token string
		if err := text(d, &token); err != nil {
			return err
		}
		if !hasPlaceholder(token) {
			if _, err := hashTokens(caddy.NewReplacer(), []string{token}); err != nil {
				return d.Errf("%s %w", name, err)
			}
		}
		*target = append(*target, token)
		return nil
	}
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Handler)(nil)
