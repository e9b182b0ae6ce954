package record

import (
	"encoding/hex"
	"reflect"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
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
