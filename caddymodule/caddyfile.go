package caddymodule

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-webhooks/caddy-webhooks/api"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("webhooks", parseApp)
}

// parseApp sets up the app from the global option:
//
//	webhooks {
//		store <module> ...
//		event_types <name>...
//		event_type <name> {
//			description <text>
//			schema <file>
//			example <file>
//		}
//		webhook <name> {
//			url <URL>
//			...
//		}
//		signature_header <name>
//		standard_webhooks
//		retry {
//			attempts <number>
//			delay <duration> | delays <duration>...
//			jitter <min> <max>
//			retry_after <most>
//		}
//		timeout <duration>
//		concurrency <in all> [<per webhook>]
//		retention <duration>
//		max_event_size <size>
//		max_response_size <size>
//		limits {
//			webhooks <number>
//			events <number> <duration>
//			streams <number>
//		}
//		destinations {
//			allow_http
//			ports <port>...
//			allow <range>...
//			allow_host <host>...
//			deny <range or host>...
//			nat64 <prefix>...
//			proxy <URL>
//			trusted_ca <file>...
//		}
//		encryption_key <key>...
//		encrypt_payloads
//		audit
//		disable_on_gone
//		disable_after <duration>
//		emit_queue <size>
//	}
//
// Values without placeholders are checked here, where the file and the line are
// known.
func parseApp(d *caddyfile.Dispenser, existing any) (any, error) {
	d.Next() // consume option name
	if existing != nil {
		return nil, d.Err("the webhooks global option is given twice")
	}
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	app := new(App)
	if _, err := parseBlock(d, "webhooks", app.options()); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "webhooks", Value: caddyconfig.JSON(app, nil)}, nil
}

// options parse the lines of the global option.
func (a *App) options() map[string]option {
	return map[string]option{
		"store":             {parse: a.parseStore},
		"event_types":       {parse: a.parseEventTypes},
		"event_type":        {parse: a.parseEventType, repeat: true},
		"webhook":           {parse: a.parseWebhook, repeat: true},
		"signature_header":  {parse: a.parseSignatureHeader},
		"standard_webhooks": {parse: bare(&a.StandardWebhooks)},
		"retry":             {parse: a.parseRetry},
		"timeout":           {parse: a.checked(nonZero(duration(&a.Timeout)))},
		"concurrency":       {parse: a.checked(a.parseConcurrency)},
		"retention":         {parse: a.checked(nonZero(duration(&a.Retention)))},
		"max_event_size":    {parse: a.checked(nonZero(size(&a.MaxEventSize)))},
		"max_response_size": {parse: a.checked(func(d *caddyfile.Dispenser) error {
			a.MaxResponseSize = new(int64)
			_, err := size(a.MaxResponseSize)(d)
			return err
		})},
		"destinations":   {parse: a.parseDestinations},
		"limits":         {parse: a.parseLimits},
		"encryption_key": {parse: a.parseEncryptionKeys, repeat: true},
		"audit":          {parse: bare(&a.Audit)},

		"encrypt_payloads": {parse: bare(&a.EncryptPayloads)},
		"disable_on_gone":  {parse: bare(&a.DisableOnGone)},
		"disable_after":    {parse: a.checked(nonZero(duration(&a.DisableAfter)))},
		"emit_queue":       {parse: a.checked(nonZero(size(&a.EmitQueue)))},
	}
}

// checked parses and then checks the settings, so that an error is reported on the
// line that causes it.
func (a *App) checked(parse func(*caddyfile.Dispenser) error) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		if err := parse(d); err != nil {
			return err
		}
		settings := a.numbers()
		if err := settings.Validate(); err != nil {
			return d.WrapErr(err)
		}
		if err := a.Retry.check(); err != nil {
			return d.WrapErr(err)
		}
		if _, err := a.eventSize(); err != nil {
			return d.WrapErr(err)
		}
		if err := a.Limits.check(); err != nil {
			return d.WrapErr(err)
		}
		if err := a.checkEmitQueue(); err != nil {
			return d.WrapErr(err)
		}
		return nil
	}
}

func (a *App) parseStore(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	name := d.Val()
	if strings.ContainsAny(name, ":/@") { // which may have a password: not to be repeated
		return d.Err("store needs the name of a module first, such as \"store redis <URL>\" or \"store embedded <folder>\"")
	}
	module, err := caddyfile.UnmarshalModule(d, "webhooks.stores."+name)
	if err != nil {
		return err
	}
	a.StoreRaw = caddyconfig.JSONModuleObject(module, "module", name, nil)
	return nil
}

func (a *App) parseEventTypes(d *caddyfile.Dispenser) error {
	names, err := list(d)
	if err != nil {
		return err
	}
	a.EventTypes = names
	for _, name := range names {
		if hasPlaceholder(name) {
			return nil // checked once it is resolved
		}
	}
	if _, err := api.NewEventTypes(names); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func (a *App) parseSignatureHeader(d *caddyfile.Dispenser) error {
	if err := text(d, &a.SignatureHeader); err != nil {
		return err
	}
	if hasPlaceholder(a.SignatureHeader) {
		return nil
	}
	if err := checkSignatureHeader(a.SignatureHeader); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func (a *App) parseConcurrency(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 1 && len(args) != 2 {
		return d.ArgErr()
	}
	for i, target := range []*int{&a.Concurrency, &a.ConcurrencyPerWebhook}[:len(args)] {
		n, err := parseInt(d, args[i])
		if err != nil {
			return err
		}
		if n == 0 {
			return d.Err("concurrency must be more than 0")
		}
		*target = n
	}
	return nil
}

func (a *App) parseDestinations(d *caddyfile.Dispenser) error {
	a.Destinations = new(Destinations)
	return parseNested(d, map[string]option{
		"allow_http": {parse: bare(&a.Destinations.AllowHTTP)},
		"ports":      {parse: each(&a.Destinations.Ports, sender.ParsePorts), repeat: true},
		"allow":      {parse: each(&a.Destinations.Allow, parseAllowed), repeat: true},
		"allow_host": {parse: each(&a.Destinations.AllowHost, parseAllowedHost), repeat: true},
		"deny":       {parse: each(&a.Destinations.Deny, parseDenied), repeat: true},
		"nat64":      {parse: each(&a.Destinations.NAT64, parseNAT64), repeat: true},
		"proxy":      {parse: a.Destinations.parseProxy},
		"trusted_ca": {repeat: true, parse: func(d *caddyfile.Dispenser) error {
			files, err := list(d)
			a.Destinations.TrustedCA = append(a.Destinations.TrustedCA, files...)
			return err
		}},
	})
}

func (d *Destinations) parseProxy(line *caddyfile.Dispenser) error {
	if err := text(line, &d.Proxy); err != nil {
		return err
	}
	if hasPlaceholder(d.Proxy) {
		return nil
	}
	if _, err := sender.ParseProxy(d.Proxy); err != nil {
		return line.WrapErr(err)
	}
	return nil
}
