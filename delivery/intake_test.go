package delivery_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

// Emits that wait for a store that fails are bounded. Once the store works again,
// events are accepted again.
func TestEmitsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok))
		defer r.stop()
		r.store.Fail(failing("Accept", errLost))
		const calls = 5000
		emit := func() error {
			_, err := r.Emit(t.Context(), tenant, []delivery.NewEvent{{Type: "a", Data: []byte(`{}`)}})
			return err
		}
		results := make(chan error, calls)
		for range calls {
			go func() { results <- emit() }()
		}
		busy := 0
		for range calls {
			if err := <-results; errors.Is(err, delivery.ErrBusy) {
				busy++
			} else if err == nil {
				t.Error("an event was accepted")
			}
		}
		if busy == 0 || busy == calls {
			t.Errorf("%d of %d emits at once were refused", busy, calls)
		}
		r.store.Fail(nil)
		if err := emit(); err != nil {
			t.Error(err)
		}
	})
}
