package api

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// auditEntry is an entry of the audit log as responses have it.
type auditEntry struct {
	At        time.Time      `json:"at"`
	By        string         `json:"by"`
	Address   string         `json:"address"`
	Action    string         `json:"action"`
	WebhookID *uuid.UUID     `json:"webhook_id,omitzero"`
	RequestID *uuid.UUID     `json:"request_id,omitzero"`
	EventID   *uuid.UUID     `json:"event_id,omitzero"`
	Before    jsontext.Value `json:"before,omitzero"`
	After     jsontext.Value `json:"after,omitzero"`
}

type auditList struct {
	Data       []auditEntry `json:"data"`
	NextCursor *string      `json:"next_cursor"`
}

func newAuditEntry(a *delivery.AuditEntry) auditEntry {
	return auditEntry{
		At: a.At(), By: a.By, Address: a.Address, Action: string(a.Action),
		WebhookID: idOrNone(a.WebhookID), RequestID: idOrNone(a.RequestID), EventID: idOrNone(a.EventID), Before: a.Before, After: a.After,
	}
}

func idOrNone(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

var auditParameters = []string{"since", "until", "limit", "cursor"}

// listAudit handles GET /api/audit.
func listAudit(ctx context.Context, c *call) (response, error) {
	filter, _, err := filterOf(c.query)
	if err != nil {
		return response{}, err
	}
	if !c.api.Audit {
		return response{}, &problem{Status: http.StatusNotFound, Detail: "Changes are not audited here: write audit into the global webhooks block of the Caddyfile, and changes from then on are listed here."}
	}
	page, err := c.api.Engine.AuditEntries(ctx, c.Tenant, delivery.AuditFilter{
		Since: filter.Since, Until: filter.Until, Before: filter.Before, Limit: filter.Limit,
	})
	if err != nil {
		return response{}, err
	}
	list := auditList{Data: make([]auditEntry, len(page.Entries))}
	for i := range page.Entries {
		list.Data[i] = newAuditEntry(&page.Entries[i])
	}
	list.NextCursor = nextCursor(page.Next)
	return response{status: http.StatusOK, body: list}, nil
}

// audit says what the audit log is to have of this call, nothing if there is none. The request
// is the one to run again, if that is what the call does.
func (c *call) audit(action delivery.Action, request uuid.UUID) []delivery.Audit {
	if !c.api.Audit {
		return nil
	}
	return []delivery.Audit{func(before, after *delivery.Webhook) *delivery.AuditEntry {
		entry := &delivery.AuditEntry{By: c.By, Address: c.Address, Action: action, RequestID: request}
		if before != after { // otherwise something is sent to it
			describeChange(entry, before, after)
		}
		return entry
	}}
}

// describeChange describes a webhook that is created or deleted, and otherwise the members that
// differ, as answers have them: without what is secret. It leaves out when the webhook was
// updated, or its secret changed, which the entry says itself.
func describeChange(entry *delivery.AuditEntry, before, after *delivery.Webhook) {
	old, changed := membersOf(before), membersOf(after)
	if before != nil && after != nil {
		for _, at := range []string{"updated_at", "secret_changed_at"} {
			delete(old, at)
			delete(changed, at)
		}
		replaced := replacedCredentials(before.Credentials(), after.Credentials())
		for name, value := range old {
			if bytes.Equal(value, changed[name]) && !replaced[name] {
				delete(old, name)
				delete(changed, name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(changed)) {
			if name == "has_secret" {
				name = "secret"
			}
			entry.Changed = append(entry.Changed, name)
		}
	}
	entry.Before, entry.After = objectOf(old), objectOf(changed)
}

// replacedCredentials are the members that seem to be as they were although their credential is
// another one.
func replacedCredentials(before, after delivery.Credentials) map[string]bool {
	return map[string]bool{
		"has_secret":         before.Secret != after.Secret,
		"authorization":      before.Authorization != after.Authorization,
		"client_certificate": before.PrivateKey != after.PrivateKey,
	}
}

// membersOf are the members of a webhook in answers, nil if there is no webhook.
func membersOf(w *delivery.Webhook) (members map[string]jsontext.Value) {
	if w == nil {
		return nil
	}
	encoded, _ := json.Marshal(newWebhook(w), json.Deterministic(true)) // texts, times and flags, which can always be encoded
	_ = json.Unmarshal(encoded, &members)                               // an object
	return members
}

// objectOf makes an object of members, nil of none at all.
func objectOf(members map[string]jsontext.Value) []byte {
	if members == nil {
		return nil
	}
	encoded, _ := json.Marshal(members, json.Deterministic(true)) // made by the encoder before
	return encoded
}
