package caddymodule

import (
	"strings"

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
//		emit_token <token> [<tenant>]
//		emit_token_hash <SHA-256> [<tenant>]
//		viewer_token <token> [<tenant>]
//		viewer_token_hash <SHA-256> [<tenant>]
//		admin_token <token> [<tenant>]
//		admin_token_hash <SHA-256> [<tenant>]
//		admin_user <placeholder>
//		tenant <name>
//		insecure_no_auth
//	}
//
// Give a token option several times to rotate tokens, or for several tenants.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	if d.NextArg() {
		return d.ArgErr()
	}
	_, err := parseBlock(d, "webhooks", map[string]option{
		"emit_token":        {repeat: true, parse: token(&h.EmitTokens)},
		"emit_token_hash":   {repeat: true, parse: token(&h.EmitTokens)},
		"viewer_token":      {repeat: true, parse: token(&h.ViewerTokens)},
		"viewer_token_hash": {repeat: true, parse: token(&h.ViewerTokens)},
		"admin_token":       {repeat: true, parse: token(&h.AdminTokens)},
		"admin_token_hash":  {repeat: true, parse: token(&h.AdminTokens)},
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

// token parses a token, or its hash, and, if there is one, its tenant. Its errors do not
// repeat them.
func token(target *[]Token) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		args := d.RemainingArgs()
		if len(args) != 1 && len(args) != 2 {
			return d.Errf("wrong argument count or unexpected line ending after '%s'", name)
		}
		if args[0] == "" {
			return d.Errf("%s is empty", name)
		}
		t := Token{Token: args[0]}
		option, isHash := strings.CutSuffix(name, hashSuffix)
		if isHash {
			t = Token{Hash: args[0]}
		}
		if len(args) == 2 {
			if t.Tenant = args[1]; t.Tenant == "" {
				return d.Errf("%s: its tenant is empty", name)
			}
		}
		*target = append(*target, t)
		if err := t.check(option); err != nil {
			return d.WrapErr(err)
		}
		return nil
	}
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Handler)(nil)
