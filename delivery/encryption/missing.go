package encryption

import (
	"errors"
	"fmt"
)

// MissingKeyError says that a value is encrypted with a key that is not in the keyring.
type MissingKeyError struct {
	What string // is encrypted: see Kind
	Key  KeyID
}

func (e *MissingKeyError) Error() string {
	return fmt.Sprintf("%s is encrypted with a key that is not configured: key id %s; add that key to encryption_key", e.What, e.Key)
}

// IsMissingKey reports whether an error says that a key is missing.
func IsMissingKey(err error) bool {
	_, ok := errors.AsType[*MissingKeyError](err)
	return ok
}
