package api

import "github.com/caddy-webhooks/caddy-webhooks/delivery"

// bySystem is who does in the audit log what nobody asked for.
const bySystem = "system"

// AuditDisabled is Settings.AuditDisabled where changes are audited.
func AuditDisabled(before, after *delivery.Webhook) *delivery.AuditEntry {
	entry := &delivery.AuditEntry{By: bySystem, Action: delivery.ActionWebhookDisabled}
	describeChange(entry, before, after)
	return entry
}
