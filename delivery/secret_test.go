package delivery

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

const goodSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func TestCheckSecret(t *testing.T) {
	for secret, want := range map[string]string{
		goodSecret: "", "whsec_AAECAw==": "", "whsec_AAEC": "", "any other text": "", "whsec": "", "v1,other": "",
		"whsec_":           "padded base64",
		"whsec_###":        "padded base64",
		"whsec_AAECAw":     "padded base64",
		"whsec_AAECAw=":    "padded base64",
		"whsec_AAECAw====": "padded base64",
		"whsec_====":       "padded base64",
		"whsec_AAEC_-==":   "padded base64",
		"whsec_AAEC\nAAEC": "padded base64",
		"v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": "remove the \"v1,\"",
		" text":               "white space",
		"text\n":              "white space",
		"\u00a0" + goodSecret: "white space",
		goodSecret + " ":      "white space",
	} {
		err := CheckSecret(secret)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", secret, err, want)
		}
		if _, decoded := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, standardPrefix)); isStandardSecret(secret) && decoded != nil {
			t.Errorf("%q is no base64", secret)
		}
	}
	// What receivers refuse is no empty key that anyone could sign with.
	if at := time.Unix(1, 0); StandardSignature("whsec_", "id", at, nil) == StandardSignature("", "id", at, nil) {
		t.Error("a secret without a key signs with the empty one")
	}
}

func TestSecretWarning(t *testing.T) {
	for secret, want := range map[string]struct{ always, standard string }{
		"":           {"", ""},
		goodSecret:   {"", ""},
		"plain text": {"", "does not begin with whsec_"},
		base64.StdEncoding.EncodeToString(make([]byte, 32)): {"", "does not begin with whsec_"},
		"whsec_AAECAw==": {"at least 24 bytes", "at least 24 bytes"},
		"two\nlines":     {"line break", "line break"},
		`"quoted"`:       {"quotation mark", "quotation mark"},
		"WHSEC_AAECAw==": {"does not begin with whsec_", "does not begin with whsec_"},
		"whsk_AAECAw==":  {"does not begin with whsec_", "does not begin with whsec_"},
		"whsec_###":      {"padded base64", "padded base64"},
		" x":             {"white space", "white space"},
	} {
		for standard, want := range map[bool]string{false: want.always, true: want.standard} {
			got := SecretWarning(secret, standard)
			if (got == "") != (want == "") || !strings.Contains(got, want) {
				t.Errorf("%q, standard_webhooks %t: got %q, want %q", secret, standard, got, want)
			}
			if got != "" && !strings.HasSuffix(got, ".") {
				t.Errorf("%q is no sentence", got)
			}
		}
	}
}

// TestSecretWarnedOnce: what a configuration finds stored is told once for each webhook.
func TestSecretWarnedOnce(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	bad := &Webhook{Tenant: "acme", ID: uuid.New(), Secret: "whsec_hush###"}
	plain := &Webhook{Tenant: "acme", ID: uuid.New(), Secret: "hush hush hush"}
	var warnings secretWarnings
	for range 3 {
		for _, w := range []*Webhook{bad, plain, {ID: uuid.New(), Secret: goodSecret}, {ID: uuid.New()}} {
			warnings.warn(w, zap.New(core))
		}
	}
	all := logs.TakeAll()
	if len(all) != 2 {
		t.Fatalf("got %+v", all)
	}
	for i, w := range []*Webhook{bad, plain} {
		fields := all[i].ContextMap()
		said, _ := fields["warning"].(string)
		if all[i].Level != zap.WarnLevel || fields["tenant"] != "acme" || fields["webhook_id"] != w.ID.String() || said == "" || strings.Contains(said, "hush") {
			t.Errorf("got %+v", all[i])
		}
	}
	ok := &Webhook{ID: uuid.New(), Secret: goodSecret}
	if n := testing.AllocsPerRun(100, func() { warnings.warn(ok, nil); warnings.warn(plain, nil) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
