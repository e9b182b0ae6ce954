package api

import "github.com/caddy-webhooks/caddy-webhooks/delivery"

// audit defines the audit log.
func (b *schemas) audit() {
	a := defineOutput[auditEntry](b, "AuditEntry")
	b.enum(a, "action", delivery.ActionWebhookCreated, delivery.ActionWebhookChanged, delivery.ActionWebhookDeleted,
		delivery.ActionWebhookTested, delivery.ActionWebhookDisabled, delivery.ActionRequestRerun,
		delivery.ActionWebhookSecretRotated, delivery.ActionDeliveryCanceled, delivery.ActionDeliverySent,
		delivery.ActionReplayStarted, delivery.ActionReplayCanceled, delivery.ActionEventErased)
	for _, name := range []string{"webhook_id", "request_id", "event_id"} {
		b.set(a, name, uuidSchema()) // left out rather than null
	}
	b.member(a, "by").Description = "Who it was: admin_token and its place in the configuration, such as \"admin_token 1\", or the user whom the site authenticated. system for a webhook_disabled, which is about what an endpoint answered."
	b.member(a, "address").Description = "The client's address."
	b.member(a, "request_id").Description = "The request that was run again."
	b.member(a, "event_id").Description = "The event that was erased, or whose delivery was canceled, or sent."
	b.member(a, "before").Description = "The webhook that was deleted, as answers have it. Of a webhook that was changed, the members that differ, without updated_at and secret_changed_at; " +
		"a has_secret that is true in both means that the secret was replaced, and an authorization or a client_certificate that is the same in both that its credential was."
	b.member(a, "after").Description = "The webhook that was created, or the same members after the change. Of a replay, what was asked for."
	defineOutput[auditList](b, "AuditList")
}
