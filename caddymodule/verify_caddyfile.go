package caddymodule

import (
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-webhooks/caddy-webhooks/verify"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("webhook_verify", parseVerify)
	// Before reverse_proxy, and before our own that are there: they must not do anything with a
	// request of which nobody knows yet who has sent it.
	httpcaddyfile.RegisterDirectiveOrder("webhook_verify", httpcaddyfile.After, "metrics")
}

// schemeNames are the schemes, for errors.
var schemeNames = strings.Join(verify.Schemes(), ", ")

func isScheme(name string) bool { return slices.Contains(verify.Schemes(), name) }

func parseVerify(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Verify)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from the Caddyfile:
//
//	webhook_verify [<matcher>] level|standard|github|stripe|slack {
//		secret <text>...
//		tolerance <duration>
//		max_size <size>
//		name <text>
//	}
//
// Give several secrets to replace one by another.
func (v *Verify) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	line := *d
	switch args := d.RemainingArgs(); {
	case len(args) != 1:
		return line.Errf("webhook_verify needs one scheme: one of %s", schemeNames)
	default:
		v.Scheme = args[0]
	}
	if !isScheme(v.Scheme) {
		return line.Errf("webhook_verify: there is no such scheme: use one of %s", schemeNames)
	}
	_, err := parseBlock(d, "webhook_verify", map[string]option{
		"secret": {repeat: true, parse: func(d *caddyfile.Dispenser) error {
			secrets, err := list(d)
			if err != nil {
				return err
			}
			v.Secrets = append(v.Secrets, secrets...)
			for _, secret := range secrets {
				if hasPlaceholder(secret) {
					continue // checked once it is resolved
				}
				if _, err := verify.New(v.Scheme, []string{secret}, time.Second); err != nil {
					return d.Errf("secret %w", err)
				}
			}
			return nil
		}},
		"tolerance": {parse: nonZero(duration(&v.Tolerance))},
		"max_size":  {parse: nonZero(size(&v.MaxSize))},
		"name":      {parse: func(d *caddyfile.Dispenser) error { return text(d, &v.Name) }},
	})
	if err != nil {
		return err
	}
	if err := v.check(); err != nil {
		return line.Errf("webhook_verify: %w", err)
	}
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Verify)(nil)
