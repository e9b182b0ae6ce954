package caddymodule

import (
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// parseWebhook parses a line of the global option:
//
//	webhook <name> {
//		tenant <name>
//		url <URL>
//		secret <text>
//		description <text>
//		enabled true|false
//		event_types <name>...
//		header <name> <value>
//		authorization bearer <token>
//		authorization basic <username> <password>
//		authorization header <name> <value>
//		authorization oauth2 <token URL> <client id> <client secret> [<scope>]
//		client_certificate <file> <file of the key>
//		retry {
//			attempts <number>
//			delays <duration>...
//			jitter <min> <max>
//		}
//		timeout <duration>
//		concurrency <number>
//		rate_limit <requests> <per>
//		order_by <expression>
//		filter <expression>
//		transform <expression>
//		metadata <name> <text>
//	}
func (a *App) parseWebhook(d *caddyfile.Dispenser) error {
	var w Webhook
	if err := text(d, &w.Name); err != nil {
		return err
	}
	_, err := parseBlock(d, "webhook", map[string]option{
		"tenant":             {parse: textOf(&w.Tenant)},
		"url":                {parse: textOf(&w.URL)},
		"secret":             {parse: textOf(&w.Secret)},
		"description":        {parse: textOf(&w.Description)},
		"enabled":            {parse: w.parseEnabled},
		"event_types":        {parse: w.parseEventTypes},
		"header":             {parse: pair(&w.Headers), repeat: true},
		"authorization":      {parse: w.parseAuthorization},
		"client_certificate": {parse: w.parseCertificate},
		"retry":              {parse: w.parseRetry},
		"timeout":            {parse: nonZero(duration(&w.Timeout))},
		"concurrency":        {parse: nonZero(integer(&w.Concurrency))},
		"rate_limit":         {parse: w.parseRateLimit},
		"order_by":           {parse: textOf(&w.OrderBy)},
		"filter":             {parse: textOf(&w.Filter)},
		"transform":          {parse: textOf(&w.Transform)},
		"metadata":           {parse: pair(&w.Metadata), repeat: true},
	})
	a.Webhooks = append(a.Webhooks, w)
	return err
}

func textOf(target *string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error { return text(d, target) }
}

// pair parses an option that takes a name and a text, once for each name.
func pair(target *map[string]string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		var name, value string
		if !d.AllArgs(&name, &value) {
			return d.Errf("%s needs a name and a text", option)
		}
		if _, ok := (*target)[name]; ok {
			return d.Errf("%s %s is given twice", option, name)
		}
		if *target == nil {
			*target = make(map[string]string)
		}
		(*target)[name] = value
		return nil
	}
}

func (w *Webhook) parseEnabled(d *caddyfile.Dispenser) error {
	var value string
	if !d.AllArgs(&value) {
		return d.ArgErr()
	}
	enabled, err := strconv.ParseBool(value)
	if err != nil {
		return d.Err("enabled must be true or false")
	}
	w.Enabled = &enabled
	return nil
}

func (w *Webhook) parseEventTypes(d *caddyfile.Dispenser) (err error) {
	w.EventTypes, err = list(d)
	return err
}

// parseAuthorization names no text in its errors, since all may be secret.
func (w *Webhook) parseAuthorization(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.ArgErr()
	}
	a := &WebhookAuthorization{Type: args[0]}
	var members []*string
	least := 0
	switch a.Type {
	case "bearer":
		members = []*string{&a.Token}
	case "basic":
		members = []*string{&a.Username, &a.Password}
	case "header":
		members = []*string{&a.Name, &a.Value}
	case "oauth2":
		members, least = []*string{&a.TokenURL, &a.ClientID, &a.ClientSecret, &a.Scope}, 3
	default:
		return d.Err("authorization must be bearer, basic, header or oauth2, and what belongs to it")
	}
	if least == 0 {
		least = len(members)
	}
	if n := len(args) - 1; n < least || n > len(members) {
		return d.Errf("authorization %s has too few or too many arguments", a.Type)
	}
	for i, arg := range args[1:] {
		*members[i] = arg
	}
	w.Authorization = a
	return nil
}

func (w *Webhook) parseCertificate(d *caddyfile.Dispenser) error {
	w.ClientCertificate = new(WebhookCertificate)
	if !d.AllArgs(&w.ClientCertificate.Certificate, &w.ClientCertificate.PrivateKey) {
		return d.Err("client_certificate needs the file of a certificate and the file of its key")
	}
	return nil
}

func (w *Webhook) parseRetry(d *caddyfile.Dispenser) error {
	w.Retry = new(WebhookRetry)
	return parseNested(d, map[string]option{
		"attempts": {parse: nonZero(integer(&w.Retry.Attempts))},
		"delays":   {parse: durations(&w.Retry.Delays)},
		"jitter":   {parse: jitter(&w.Retry.Jitter)},
	})
}

func (w *Webhook) parseRateLimit(d *caddyfile.Dispenser) error {
	var requests, per string
	if !d.AllArgs(&requests, &per) {
		return d.Err("rate_limit needs a number of requests and a duration, such as 10 1s")
	}
	n, err := strconv.Atoi(requests)
	if err != nil {
		return d.Errf("'%s' is not a whole number", requests)
	}
	parsed, err := parseDuration(d, per)
	w.RateLimit = &WebhookRateLimit{n, parsed}
	return err
}

// durations parses an option that takes one or more.
func durations(target *[]caddy.Duration) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		values, err := list(d)
		if err != nil {
			return err
		}
		for _, value := range values {
			parsed, err := parseDuration(d, value)
			if err != nil {
				return err
			}
			*target = append(*target, parsed)
		}
		return nil
	}
}

func jitter(target **Jitter) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		var least, most string
		if !d.AllArgs(&least, &most) {
			return d.ArgErr()
		}
		*target = new(Jitter)
		var err error
		if (*target).Min, err = parseDuration(d, least); err != nil {
			return err
		}
		(*target).Max, err = parseDuration(d, most)
		return err
	}
}
