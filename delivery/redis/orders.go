package redis

import (
	"encoding/binary"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

const (
	// waitsScore is the score of a delivery that waits for others with its order key: waits in
	// common.lua.
	waitsScore = 9_000_000_000_000_000
	// waitsMark is what event.lua adds to the record of such a delivery.
	waitsMark = "w"
	// orderedBit, in the 2 bytes of a webhook's number for import_events.lua, says that the
	// delivery has an order key.
	orderedBit = 1 << 15
)

// parseOrder parses an order key and a place, as ordered has them: see keys.go.
func parseOrder(stored string) (key delivery.OrderKey, place uint64) {
	if len(stored) != len(key)+8 {
		return key, 0
	}
	return delivery.OrderKey([]byte(stored)), binary.BigEndian.Uint64([]byte(stored[len(key):]))
}

// cutWaits cuts off what event.lua adds to the record of a delivery that waits.
func cutWaits(stored string) (rest string, waits bool) {
	if len(stored) == len(waitsMark) || len(stored) == record.DeliverySize+len(waitsMark) {
		return stored[:len(stored)-len(waitsMark)], true
	}
	return stored, false
}

// isWaiting reports whether a time that untried.lua tells is that of a delivery that waits.
func isWaiting(time any) bool {
	at, _ := time.(int64)
	return at >= waitsScore
}
