package delivery

import "crypto/sha256"

// OrderKey says which deliveries of a webhook go one at a time, in the order of acceptance: those
// with the same key. The zero value is of those that go side by side. Of deliveries of one key that
// are pending, the first is the head, and the others wait: they fall due once they are the head.
type OrderKey [16]byte

// orderKey is the key of a text, never zero.
func orderKey(text string) OrderKey {
	sum := sha256.Sum256([]byte(text))
	k := OrderKey(sum[:])
	if k == (OrderKey{}) {
		k[0] = 1
	}
	return k
}
