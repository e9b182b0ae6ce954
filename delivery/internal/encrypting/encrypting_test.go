package encrypting

import (
	"bytes"
	"testing"

	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
)

// TestChangedDuringStep configures a key while a step of the pass is under way that was begun when
// there was none: the pass with the key begins anew, and is made to its end.
func TestChangedDuringStep(t *testing.T) {
	t.Parallel()
	keyring := func(b byte) *encryption.Keyring {
		keys, err := encryption.New([][]byte{bytes.Repeat([]byte{b}, encryption.KeySize)}, false)
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	for _, next := range []string{"", "further"} {
		s := State{Log: zap.NewNop()}
		s.Use(keyring(1))
		s.Use(nil)
		want := keyring(2)
		if _, err := s.Step(func(*encryption.Keyring, string) (string, int, error) {
			s.Use(want)
			return next, 1, nil
		}); err != nil {
			t.Fatal(err)
		}
		if s.Status().Done {
			t.Error("the pass has ended that has not begun")
		}
		var begun, ended bool
		for range 5 {
			if more, err := s.Step(func(keys *encryption.Keyring, from string) (string, int, error) {
				begun = begun || keys == want && from == ""
				return "", 1, nil
			}); err != nil || !more {
				ended = err == nil
				break
			}
		}
		if !begun || !ended || !s.Status().Done {
			t.Errorf("the pass has begun: %t; ended: %t; %+v", begun, ended, s.Status())
		}
	}
}
