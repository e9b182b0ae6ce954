package api

import (
	"strconv"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// receipt is what the emitter is told of an event. encodeReceipts writes it.
type receipt struct {
	EventID    uuid.UUID `json:"event_id"`
	Deliveries int       `json:"deliveries"`
	Duplicate  bool      `json:"duplicate"`
}

// encodeReceipts writes receipts as JSON, as an array or the one there is.
func encodeReceipts(receipts []delivery.Receipt, array bool) rawJSON {
	const usual = len(`{"event_id":"","deliveries":1000,"duplicate":false},`) + 36
	b := make(rawJSON, 0, len(receipts)*usual+len("[]\n"))
	if !array {
		return appendReceipt(b, receipt(receipts[0]))
	}
	b = append(b, '[')
	for i := range receipts {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendReceipt(b, receipt(receipts[i]))
	}
	return append(b, ']')
}

func appendReceipt(b rawJSON, r receipt) rawJSON {
	id, _ := r.EventID.MarshalText() // which cannot fail
	b = append(b, `{"event_id":"`...)
	b = append(b, id...)
	b = append(b, `","deliveries":`...)
	b = strconv.AppendInt(b, int64(r.Deliveries), 10)
	b = append(b, `,"duplicate":`...)
	b = strconv.AppendBool(b, r.Duplicate)
	return append(b, '}')
}
