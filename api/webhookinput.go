package api

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/expression"
)

// Limits of a webhook's members, beside sender.MaxURLLength.
const (
	maxSecretLength      = 1024 // bytes
	maxDescriptionLength = 1000 // characters
	maxWebhookTypes      = 1000
)

// webhookInput is a webhook as it is created, or a merge patch of one. It has no
// members for what cannot be changed.
type webhookInput struct {
	URL         optional[string]   `json:"url"`
	Secret      optional[string]   `json:"secret"`
	Description optional[string]   `json:"description"`
	Enabled     optional[bool]     `json:"enabled"`
	EventTypes  optional[[]string] `json:"event_types"`

	Headers     textsPatch           `json:"headers"`
	Timeout     optional[string]     `json:"timeout"`
	Metadata    textsPatch           `json:"metadata"`
	Retry       optional[retryInput] `json:"retry"`
	Filter      optional[string]     `json:"filter"`
	Transform   optional[string]     `json:"transform"`
	OrderBy     optional[string]     `json:"order_by"`
	Concurrency optional[int]        `json:"concurrency"`

	RateLimit optional[rateLimitInput] `json:"rate_limit"`

	Authorization optional[authorizationInput] `json:"authorization"`
	authorization *delivery.Authorization      // what check makes of it

	ClientCertificate optional[certificateInput]  `json:"client_certificate"`
	clientCertificate *delivery.ClientCertificate // what check makes of it
}

// empty says that a patch leaves all as it is.
func (in *webhookInput) empty() bool {
	return !in.URL.Set && !in.Secret.Set && !in.Description.Set && !in.Enabled.Set && !in.EventTypes.Set &&
		!in.Headers.Set && !in.Timeout.Set && !in.Metadata.Set &&
		!in.Authorization.Set && !in.ClientCertificate.Set &&
		!in.Filter.Set && !in.Transform.Set && !in.OrderBy.Set &&
		!in.Retry.Set && !in.Concurrency.Set &&
		!in.RateLimit.Set
}

// compiles says that there are expressions, each of which takes milliseconds to compile.
func (in *webhookInput) compiles() bool { return in.Filter.Set || in.Transform.Set || in.OrderBy.Set }

// checkWebhook says what is wrong with an input. Expressions wait for the tenant's turn.
func (c *call) checkWebhook(ctx context.Context, in *webhookInput, create bool) (err error) {
	if !in.compiles() {
		return in.check(&c.api.Backend, create)
	}
	if turn := c.inTurn(ctx, func() { err = in.check(&c.api.Backend, create) }); turn != nil {
		return turn
	}
	return err
}

// check says what is wrong with the input; to create a webhook, the URL must be
// there. Null puts back the default of what need not be there, apart from enabled and event_types.
func (in *webhookInput) check(b *Backend, create bool) error {
	var errs fieldErrors
	if create && !in.URL.Set {
		errs.add("url", "This member is required.")
	}
	if errs.given("url", in.URL.Set, in.URL.Null) {
		errs.check("url", b.Settings.Destinations.CheckURL(in.URL.Value))
	}
	if in.Secret.Set && !in.Secret.Null {
		checkSecret(in.Secret.Value, "for no secret, send null or leave it out", &errs)
	}
	if utf8.RuneCountInString(in.Description.Value) > maxDescriptionLength {
		errs.add("description", fmt.Sprintf("This must have at most %d characters.", maxDescriptionLength))
	}
	errs.given("enabled", in.Enabled.Set, in.Enabled.Null)
	if errs.given("event_types", in.EventTypes.Set, in.EventTypes.Null) {
		checkWanted(in.EventTypes.Value, b.EventTypes, &errs)
	}
	checkTexts("headers", in.Headers, &errs, checkHeader(b))
	timeoutOf(&in.Timeout, &errs)
	in.clientCertificate = certificateOf(&in.ClientCertificate, &errs)
	in.authorization = authorizationOf(&in.Authorization, b, &errs)
	checkTexts("metadata", in.Metadata, &errs, checkMetadata)
	retryOf(&in.Retry, &errs)
	rateLimitOf(&in.RateLimit, &errs)
	checkExpression(expression.Filter, in.Filter, &errs)
	checkExpression(expression.Transform, in.Transform, &errs)
	checkExpression(expression.OrderBy, in.OrderBy, &errs)
	if n := in.Concurrency; n.Set && !n.Null && (n.Value < 1 || n.Value > delivery.MaxConcurrency) {
		errs.add("concurrency", fmt.Sprintf("This must be 1 to %d; for as many as the server's configuration says, send null.", delivery.MaxConcurrency))
	}
	return errs.problem()
}

// checkExpression compiles a member that is an expression; null takes it away.
func checkExpression(kind expression.Kind, in optional[string], errs *fieldErrors) {
	if in.Set && !in.Null {
		_, err := expression.Compile(kind, in.Value)
		errs.check(kind.String(), err)
	}
}

func checkWanted(names []string, types *EventTypes, errs *fieldErrors) {
	switch {
	case len(names) == 0 || len(names) > maxWebhookTypes:
		errs.add("event_types", fmt.Sprintf("This must contain 1 to %d event types.", maxWebhookTypes))
		return
	case slices.Equal(names, []string{delivery.AllEventTypes}):
		return
	case slices.Contains(names, delivery.AllEventTypes):
		errs.add("event_types", "\"*\" stands for every event type, so it must stand alone.")
		return
	}
	for i, name := range names {
		errs.check("event_types."+strconv.Itoa(i), types.mayWant(name))
	}
}

// apply writes the members that are there into a webhook.
func (in *webhookInput) apply(w *delivery.Webhook) {
	if in.URL.Set {
		w.URL = in.URL.Value
	}
	if in.Secret.Set {
		w.SetSecret(in.Secret.Value) // "" if null
	}
	if in.Description.Set {
		w.Description = in.Description.Value // "" if null
	}
	if in.Enabled.Set {
		w.Enabled = in.Enabled.Value
	}
	if in.EventTypes.Set {
		w.EventTypes = withoutRepeats(in.EventTypes.Value)
	}
	if in.Headers.Set {
		w.Headers = merge(w.Headers, in.Headers)
	}
	if in.Timeout.Set {
		w.Timeout = timeoutOf(&in.Timeout, new(fieldErrors)) // which has none
	}
	if in.ClientCertificate.Set {
		w.ClientCertificate = in.clientCertificate
	}
	if in.Authorization.Set {
		w.Authorization = in.authorization
	}
	if in.Metadata.Set {
		w.Metadata = merge(w.Metadata, in.Metadata)
	}
	if in.Retry.Set {
		w.Retry = retryOf(&in.Retry, new(fieldErrors)) // which has none
	}
	if in.Filter.Set {
		w.Filter = in.Filter.Value // "" if null
	}
	if in.Transform.Set {
		w.Transform = in.Transform.Value // "" if null
	}
	if in.OrderBy.Set {
		w.OrderBy = in.OrderBy.Value // "" if null
	}
	if in.Concurrency.Set {
		w.Concurrency = in.Concurrency.Value // 0 if null
	}
	if in.RateLimit.Set {
		w.RateLimit = rateLimitOf(&in.RateLimit, new(fieldErrors)) // which has none
	}
}

// withoutRepeats keeps the first of each.
func withoutRepeats(names []string) []string {
	seen := make(map[string]bool, len(names))
	kept := make([]string, 0, len(names))
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			kept = append(kept, name)
		}
	}
	return kept
}
