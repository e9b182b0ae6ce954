package delivery

import (
	"testing"

	"github.com/google/uuid"
)

func TestWants(t *testing.T) {
	for _, tc := range []struct {
		name    string
		webhook Webhook
		want    bool
	}{
		{"its type", Webhook{Enabled: true, EventTypes: []string{"alert_active"}}, true},
		{"one of its types", Webhook{Enabled: true, EventTypes: []string{"alert_resolved", "alert_active"}}, true},
		{"all types", Webhook{Enabled: true, EventTypes: []string{"*"}}, true},
		{"another type", Webhook{Enabled: true, EventTypes: []string{"alert_resolved"}}, false},
		{"a type that it begins with", Webhook{Enabled: true, EventTypes: []string{"alert", "alert_*"}}, false},
		{"no type", Webhook{Enabled: true}, false},
		{"its type, disabled", Webhook{EventTypes: []string{"alert_active"}}, false},
		{"all types, disabled", Webhook{EventTypes: []string{"*"}}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.webhook.Wants("alert_active"); got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestRef(t *testing.T) {
	w := Webhook{Tenant: "a", ID: uuid.New()}
	if w.Ref() != (WebhookRef{"a", w.ID}) {
		t.Errorf("got %v", w.Ref())
	}
}
