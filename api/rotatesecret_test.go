package api_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestRotateSecret rotates a secret, and finds the new one in this one answer alone.
func TestRotateSecret(t *testing.T) {
	s := audited(t, nil)
	var hook webhook
	s.admin("POST", "api/webhooks", `{"url":"http://127.0.0.1/","secret":"hush first"}`).want(t, 201, &hook)
	if hook.SecretChangedAt == nil || !hook.SecretChangedAt.Equal(hook.CreatedAt) || hook.PreviousSecretUntil != nil {
		t.Errorf("created is %+v", hook)
	}
	path := "api/webhooks/" + hook.ID
	var rotated struct {
		Secret              string     `json:"secret"`
		UpdatedAt           time.Time  `json:"updated_at"`
		SecretChangedAt     *time.Time `json:"secret_changed_at"`
		PreviousSecretUntil *time.Time `json:"previous_secret_until"`
	}
	got := s.admin("POST", path+"/rotate-secret", "")
	got.mayHave(t, &rotated)
	encoded, ok := strings.CutPrefix(rotated.Secret, "whsec_")
	if key, err := base64.StdEncoding.DecodeString(encoded); !ok || err != nil || len(key) != 32 {
		t.Errorf("the secret is %q", rotated.Secret)
	}
	if at := rotated.PreviousSecretUntil; at == nil || !at.Equal(rotated.UpdatedAt.Add(24*time.Hour)) || rotated.SecretChangedAt == nil || !rotated.SecretChangedAt.Equal(rotated.UpdatedAt) {
		t.Errorf("rotated is %s", got.body)
	}
	said := string(s.admin("GET", path, "").body) + string(s.admin("GET", "api/webhooks", "").body)
	given := s.admin("POST", path+"/rotate-secret", `{"secret":"hush second","grace":"30d"}`)
	given.want(t, 200, &hook)
	if at := hook.PreviousSecretUntil; at == nil || !at.Equal(hook.UpdatedAt.Add(30*24*time.Hour)) {
		t.Errorf("rotated is %s", given.body)
	}
	audit := s.admin("GET", "api/audit", "")
	said += string(given.body) + string(audit.body) + fmt.Sprint(s.log.All())
	if strings.Contains(said, "hush") || strings.Contains(said, encoded) {
		t.Errorf("there is a secret in %s", said)
	}
	var page auditList
	audit.want(t, 200, &page)
	if e := page.Data[0]; e.Action != "webhook_secret_rotated" || e.Before["has_secret"] != true || e.After["has_secret"] != true ||
		e.Before["previous_secret_until"] == nil || e.After["previous_secret_until"] == nil || len(e.After) != 2 {
		t.Errorf("audited is %+v", e)
	}
	hook = webhook{}
	s.admin("PATCH", path, `{"secret":null}`).want(t, 200, &hook)
	if hook.PreviousSecretUntil != nil || hook.HasSecret || !hook.SecretChangedAt.Equal(hook.UpdatedAt) {
		t.Errorf("without a secret it is %+v", hook)
	}
}

// mayHave decodes a success, whatever members it has.
func (r reply) mayHave(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal(r.body, into); r.status != 200 || err != nil {
		t.Fatalf("%d %s, %v", r.status, r.body, err)
	}
}

// TestBadRotations refuses what is no rotation, which changes nothing.
func TestBadRotations(t *testing.T) {
	s := start(t, newConfig().withLoopback())
	var hook webhook
	s.admin("POST", "api/webhooks", `{"url":"http://127.0.0.1/"}`).want(t, 201, &hook)
	path := "api/webhooks/" + hook.ID
	for body, field := range map[string]string{
		`{"grace":"31d"}`: "grace", `{"grace":"-1s"}`: "grace", `{"grace":"soon"}`: "grace", `{"grace":5}`: "grace", `{"grace":null}`: "grace",
		`{"secret":""}`: "secret", `{"secret":null}`: "secret", `{"secret":" x"}`: "secret", `{"secret":"whsec_!"}`: "secret",
		`{"secret":"` + strings.Repeat("x", 1025) + `"}`: "secret", `{"other":1}`: "other",
	} {
		if got := s.admin("POST", path+"/rotate-secret", body).wantProblem(t, 422).fields(); got != field {
			t.Errorf("%s: the fields are %q", body, got)
		}
	}
	s.admin("POST", "api/webhooks/"+noID+"/rotate-secret", "").wantProblem(t, 404)
	s.admin("POST", "api/webhooks/x/rotate-secret", "").wantProblem(t, 404)
	s.do("POST", "/hooks/"+path+"/rotate-secret", "", "Authorization", asEmitter).wantProblem(t, 403)
	var after webhook
	s.admin("GET", path, "").want(t, 200, &after)
	if after.HasSecret || !after.UpdatedAt.Equal(hook.UpdatedAt) || after.SecretChangedAt != nil {
		t.Errorf("it is %+v", after)
	}
}
