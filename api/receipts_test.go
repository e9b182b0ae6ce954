package api

import (
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// TestReceipts compares receipts with what the JSON package makes of them.
func TestReceipts(t *testing.T) {
	one := rapid.Custom(func(t *rapid.T) delivery.Receipt {
		return delivery.Receipt{
			EventID:    uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")),
			Deliveries: rapid.IntMin(0).Draw(t, "deliveries"),
			Duplicate:  rapid.Bool().Draw(t, "duplicate"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		receipts := rapid.SliceOfN(one, 1, 5).Draw(t, "receipts")
		all := make([]receipt, len(receipts))
		for i := range receipts {
			all[i] = receipt(receipts[i])
		}
		for array, body := range map[bool]any{true: all, false: all[0]} {
			want, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			if got := encodeReceipts(receipts, array); string(got) != string(want) {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})
}

// TestReceiptsFit wants no second allocation for receipts of as many deliveries as there
// can be, and for the line break behind them.
func TestReceiptsFit(t *testing.T) {
	receipts := make([]delivery.Receipt, 100)
	for i := range receipts {
		receipts[i].Deliveries = delivery.MaxDeliveries / len(receipts)
	}
	if allocated := testing.AllocsPerRun(10, func() { _ = append(encodeReceipts(receipts, true), '\n') }); allocated > 1 {
		t.Errorf("%v allocations", allocated)
	}
}
