package api

import "github.com/caddy-webhooks/caddy-webhooks/delivery"

// AuditOwn is Settings.AuditOwn where changes are audited.
func AuditOwn(by string, action delivery.Action) delivery.Audit {
	return func(before, after *delivery.Webhook) *delivery.AuditEntry {
		entry := &delivery.AuditEntry{By: by, Action: action}
		describeChange(entry, before, after)
		return entry
	}
}
