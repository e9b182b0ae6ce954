package api

import (
	"errors"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// webhookSource says who made a webhook.
type webhookSource string

const (
	sourceAPI    webhookSource = "api"
	sourceConfig webhookSource = "config"
)

func sourceOf(w *delivery.Webhook) webhookSource {
	if w.Declared {
		return sourceConfig
	}
	return sourceAPI
}

// Webhook makes a webhook of the members with which one is created, in JSON. It lacks an id, a
// tenant and times. Of the backend it needs EventTypes and Settings. An error names each member
// that is not valid.
func (b *Backend) Webhook(members []byte) (*delivery.Webhook, error) {
	of := *b
	of.EventTypes = b.EventTypes.withCaddyEvents() // who handles them is not known yet
	var in webhookInput
	err := decode(members, &in)
	if err == nil {
		err = in.check(&of, true)
	}
	if err != nil {
		return nil, plainError(err)
	}
	w := newDefaultWebhook()
	in.apply(&w)
	return &w, w.Check()
}

// newDefaultWebhook is what a webhook is before it is given any members.
func newDefaultWebhook() delivery.Webhook {
	return delivery.Webhook{Enabled: true, EventTypes: []string{delivery.AllEventTypes}}
}

// plainError is a problem as the error of a configuration.
func plainError(err error) error {
	p, ok := errors.AsType[*problem](err)
	if !ok || len(p.Errors) == 0 {
		return err
	}
	var all []error
	for _, e := range p.Errors {
		all = append(all, errors.New(e.Field+": "+e.Detail))
	}
	return errors.Join(all...)
}

// ofConfiguration ends the descriptions of what changes a webhook.
const ofConfiguration = " Refused with 409 if the server's configuration made it."

// origin describes who made a webhook in answers, and why it is disabled.
func (b *schemas) origin(w *jsonschema.Schema) {
	b.enum(w, "disabled_reason", delivery.DisabledByAdmin, delivery.DisabledGone, delivery.DisabledFailing, delivery.DisabledByConfig, nil)
	b.member(w, "disabled_reason").Description = "Null if the webhook is enabled. gone: its endpoint responded with 410; failing: nothing but failures for long; config: the server's configuration does not have it any more, or has it disabled."
	b.enum(w, "source", sourceAPI, sourceConfig)
	b.member(w, "source").Description = "What made it. One that the server's configuration made can be changed there alone."
}
