package api

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// newSecretSize is how many random bytes a secret has that is made here.
const newSecretSize = 32

// rotationInput is how a secret is rotated.
type rotationInput struct {
	Secret optional[string] `json:"secret"`
	Grace  optional[string] `json:"grace"`
}

// rotatedWebhook is the webhook, with the secret if it was made here.
type rotatedWebhook struct {
	webhook

	Secret string `json:"secret,omitempty"`
}

// rotateSecret handles POST /api/webhooks/{id}/rotate-secret.
func rotateSecret(ctx context.Context, c *call) (response, error) {
	var in rotationInput
	if err := decode(c.body, &in); err != nil {
		return response{}, err
	}
	var errs fieldErrors
	if errs.given("secret", in.Secret.Set, in.Secret.Null) {
		checkSecret(in.Secret.Value, "to have one made, leave it out", &errs)
	}
	grace := graceOf(&in.Grace, &errs)
	if err := errs.problem(); err != nil {
		return response{}, err
	}
	ref, err := c.webhookRef()
	if err != nil {
		return response{}, err
	}
	var made string
	secret := in.Secret.Value
	if !in.Secret.Set {
		made = newSecret()
		secret = made
	}
	w, err := c.api.Engine.RotateSecret(ctx, ref, secret, grace, c.audit(delivery.ActionWebhookSecretRotated, uuid.Nil)...)
	if err != nil {
		return response{}, notFound(err, "webhook")
	}
	return response{status: http.StatusOK, body: rotatedWebhook{newWebhook(w), made}}, nil
}

// newSecret makes a secret in the form of Standard Webhooks.
func newSecret() string {
	key := make([]byte, newSecretSize)
	_, _ = rand.Read(key) // which never fails
	return "whsec_" + base64.StdEncoding.EncodeToString(key)
}

// graceOf reads a grace, and notes what is wrong with it.
func graceOf(in *optional[string], errs *fieldErrors) time.Duration {
	if !errs.given("grace", in.Set, in.Null) {
		return delivery.DefaultGrace
	}
	grace, err := parseDuration(in.Value)
	switch {
	case err != nil:
		errs.check("grace", err)
	case grace < 0 || grace > delivery.MaxGrace:
		errs.add("grace", "This must be 0s to "+durationText(delivery.MaxGrace)+".")
	}
	return grace
}

// checkSecret notes what is wrong with a secret, and what to do for none.
func checkSecret(secret, none string, errs *fieldErrors) {
	if n := len(secret); n == 0 || n > maxSecretLength {
		errs.add("secret", fmt.Sprintf("This must have 1 to %d bytes; %s.", maxSecretLength, none))
		return
	}
	errs.check("secret", delivery.CheckSecret(secret))
}

// rotation defines what rotates a secret.
func (b *schemas) rotation() {
	in := define[rotationInput](b, "SecretRotation")
	in.Required = nil
	secret := b.member(in, "secret")
	secret.MinLength, secret.MaxLength, secret.WriteOnly = new(1), new(maxSecretLength), true
	secret.Description = fmt.Sprintf("The new secret. Default: whsec_ and the base64 of %d random bytes, which this response alone contains.", newSecretSize)
	b.member(in, "grace").Description = "For how long requests have a signature by the old secret, too: a duration from 0s to " +
		durationText(delivery.MaxGrace) + ". Default: " + durationText(delivery.DefaultGrace) + "."
}

// sentSecret describes the times of the secret in answers.
func (b *schemas) sentSecret(w *jsonschema.Schema) {
	b.member(w, "secret_changed_at").Description = "When the secret was last given, replaced or removed. Null if there has been none, and of secrets from before this was recorded."
	b.member(w, "previous_secret_until").Description = "Until when requests have a signature by the secret before, too. Null if they have none."
}
