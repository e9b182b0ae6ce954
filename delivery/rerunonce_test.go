package delivery_test

import (
	"testing"
	"testing/synctest"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

// TestRerunReadsOnce runs a request again: the store is asked once before it is sent.
func TestRerunReadsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := flaky.New()
		r := run(t, store, newEndpoints(ok))
		defer r.stop()
		r.webhook("https://a.example")
		r.emit(1)
		synctest.Wait()
		row := r.log()[0]
		var asked []string
		store.Fail(func(operation string) error {
			asked = append(asked, operation)
			return nil
		})
		if _, err := r.Rerun(t.Context(), tenant, row.ID); err != nil {
			t.Fatal(err)
		}
		store.Fail(nil)
		if len(asked) != 2 || asked[0] != "Resend" || asked[1] != "Complete" {
			t.Errorf("a re-run asks the store for %v", asked)
		}
	})
}
