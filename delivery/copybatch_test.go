package delivery_test

import (
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// TestBatchOfLargeWebhooks fills batches with webhooks, each of which has much in one member: the
// batches are bounded by that.
func TestBatchOfLargeWebhooks(t *testing.T) {
	const size = 64 << 10
	long := strings.Repeat("x", size)
	for name, w := range map[string]delivery.Webhook{
		"headers":       {Headers: map[string]string{"A": long}},
		"metadata":      {Metadata: map[string]string{"a": long}},
		"event types":   {EventTypes: []string{long}},
		"filter":        {Filter: long},
		"transform":     {Transform: long},
		"order":         {OrderBy: long},
		"authorization": {Authorization: &delivery.Authorization{Credential: long}},
		"certificate":   {ClientCertificate: &delivery.ClientCertificate{Certificate: long}},
	} {
		var b delivery.Batch
		for !b.Full() {
			b.AddWebhook(delivery.StoredWebhook{Webhook: w})
		}
		if most := delivery.BatchBytes/size + 1; b.Len() > most {
			t.Errorf("%s: a batch has %d webhooks of %d bytes, want %d at most", name, b.Len(), size, most)
		}
	}
}
