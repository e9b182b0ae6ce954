package contracttest

import (
	"encoding/hex"
	"errors"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// wantSignedBy verifies a request as receivers do that have each of some secrets, and as one does
// that has none of them. The first is the present secret.
func wantSignedBy(t *testing.T, got received, other string, secrets ...string) {
	t.Helper()
	for i, secret := range secrets {
		verifier, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.Verify([]byte(got.body), got.header); err != nil {
			t.Errorf("a receiver with secret %d: %v", i, err)
		}
		name := []string{"X-Level-Signature", "X-Level-Signature-Previous"}[i]
		if v := got.header.Get(name); v != "sha256="+hex.EncodeToString(mac([]byte(secret), got.body)) {
			t.Errorf("%s is %q", name, v)
		}
	}
	verifier, err := standardwebhooks.NewWebhook(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify([]byte(got.body), got.header); !errors.Is(err, standardwebhooks.ErrNoMatchingSignature) {
		t.Errorf("a receiver with another secret: %v", err)
	}
	if _, has := got.header["X-Level-Signature-Previous"]; has != (len(secrets) > 1) {
		t.Errorf("the headers are %v", got.header)
	}
}

// TestRotateSecret rotates a secret twice, and verifies what a receiver gets meanwhile and after
// the grace.
func TestRotateSecret(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	r := receive(t, nil)
	const first = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	path := "/api/webhooks/" + text(c.webhook(t, r.URL, `"secret":"`+first+`"`)["id"])
	sent := 0
	send := func() (received, object) {
		sent++
		row := c.must(t, 200, "POST", path+"/test", "{}")
		shown, _ := row["request_headers"].(object)
		return r.await(t, sent)[sent-1], shown
	}
	w := c.must(t, 200, "POST", path+"/rotate-secret", "")
	second := text(w["secret"])
	got, shown := send()
	wantSignedBy(t, got, "whsec_b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcg==", second, first)
	if shown["X-Level-Signature-Previous"] != "sha256=********" || shown["Webhook-Signature"] != "v1,******** v1,********" {
		t.Errorf("shown is %v", shown)
	}
	if w = c.must(t, 200, "GET", path, ""); w["secret"] != nil || w["has_secret"] != true {
		t.Errorf("the webhook is %v", w)
	}
	wantTime(t, w["secret_changed_at"])
	wantTime(t, w["previous_secret_until"])

	const third = "whsec_OTg3NjU0MzIxMDk4NzY1NDMyMTA5ODc2NTQzMjEwOTg="
	if w := c.must(t, 200, "POST", path+"/rotate-secret", `{"secret":"`+third+`","grace":"30d"}`); w["secret"] != nil {
		t.Errorf("a secret that was given is answered: %v", w)
	}
	got, _ = send()
	wantSignedBy(t, got, first, third, second)
	c.must(t, 200, "POST", path+"/rotate-secret", `{"secret":"`+third+`","grace":"100ms"}`) // ends the grace soon
	for c.must(t, 200, "GET", path, "")["previous_secret_until"] != nil {
		time.Sleep(pollEvery)
	}
	got, shown = send()
	wantSignedBy(t, got, second, third)
	if shown["X-Level-Signature-Previous"] != nil || shown["Webhook-Signature"] != "v1,********" {
		t.Errorf("shown is %v", shown)
	}
	c.must(t, 200, "POST", path+"/rotate-secret", `{"secret":"`+first+`"}`)
	if w := c.must(t, 200, "PATCH", path, `{"secret":"`+second+`"}`); w["previous_secret_until"] != nil {
		t.Errorf("after a PATCH there is %v", w)
	}
	got, _ = send()
	wantSignedBy(t, got, first, second)
}
