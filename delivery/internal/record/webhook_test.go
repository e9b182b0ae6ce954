package record

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
)

// earlierWebhook is a webhook as a version wrote it that knew none of headers, metadata and the
// members after them.
const earlierWebhook = "a76375726c7368747470733a2f2f6578616d706c652e636f6d6673656372657461736b6465736372697074696f6e616467656e61626c6564f56b6576656e745f747970657381612a6a637265617465645f61747818323030342d30312d31305431333a33373a30342e3132335a6a757064617465645f61747818323030342d30312d31305431343a33373a30342e3132335a"

// TestEarlierWebhookRecord decodes it, and writes it as it was: what is not used takes no room.
func TestEarlierWebhookRecord(t *testing.T) {
	t.Parallel()
	at := time.Unix(1<<30, 123_000_000).UTC()
	want := delivery.Webhook{
		URL: "https://example.com", Secret: "s", Description: "d", Enabled: true, EventTypes: []string{"*"},
		CreatedAt: at, UpdatedAt: at.Add(time.Hour),
	}
	stored, err := hex.DecodeString(earlierWebhook)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeWebhook(stored, want.Ref(), nil); err != nil || !reflect.DeepEqual(*got, want) {
		t.Errorf("read as %+v, %v, want %+v", got, err, want)
	}
	if got := hex.EncodeToString(EncodeWebhook(&want, nil)); got != earlierWebhook {
		t.Errorf("written as %s", got)
	}
}

// TestSecretsAreEncrypted looks for each credential in a record that is encrypted, and finds out
// that one in clear is not as configured.
func TestSecretsAreEncrypted(t *testing.T) {
	t.Parallel()
	keys, err := encryption.New([][]byte{make([]byte, encryption.KeySize)}, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []delivery.Webhook{
		{Secret: "hush"},
		{PreviousSecret: "hush"},
		{ClientCertificate: &delivery.ClientCertificate{Certificate: "c", PrivateKey: "hush"}},
		{Authorization: &delivery.Authorization{Type: delivery.BearerAuthorization, Credential: "hush"}},
	} {
		inClear, encrypted := EncodeWebhook(&w, nil), EncodeWebhook(&w, keys)
		if !bytes.Contains(inClear, []byte("hush")) || bytes.Contains(encrypted, []byte("hush")) {
			t.Errorf("%+v is written as %q and %q", w, inClear, encrypted)
		}
		if IsAsConfigured(inClear, keys) || !IsAsConfigured(inClear, nil) || !IsAsConfigured(encrypted, keys) || IsAsConfigured(encrypted, nil) {
			t.Errorf("what is encrypted of %+v is not told from what is not", w)
		}
		got, err := DecodeWebhook(encrypted, w.Ref(), keys)
		if err != nil || got.Credentials() != w.Credentials() {
			t.Errorf("read as %+v, %v, want %+v", got, err, w)
		}
		if _, err := DecodeWebhook(encrypted, w.Ref(), nil); !encryption.IsMissingKey(err) {
			t.Errorf("without a key: %v", err)
		}
	}
}
