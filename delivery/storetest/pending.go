package storetest

import (
	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

func testPending(f *fixture) {
	want := func(n int64, when string) {
		f.Helper()
		got, err := f.store.Pending(f.Context())
		f.must(err)
		if got != n {
			f.Errorf("%s: %d are pending, want %d", when, got, n)
		}
	}
	want(0, "in an empty store")
	const many = 700 // more than a store counts in one step
	webhooks := append(f.webhooks(tenant, many), f.webhook("other"))
	mine := webhooks[:many]
	f.accept(held, f.event(mine...), f.event(mine[0]))
	f.must(f.acceptAll(held, f.call("other", f.event(webhooks[many])))[0].Err)
	want(many+2, "waiting")

	job := f.bornLeased(mine[1], held)
	want(many+3, "with one in flight")
	f.complete(retried(f.outcome(job), f.store.Now().Add(held)))
	want(many+3, "with one to retry")
	f.complete(succeeded(f.outcome(f.bornLeased(mine[1], held))), f.outcome(f.bornLeased(mine[1], held)))
	want(many+3, "with two that have ended")

	f.update(mine[0], func(w *delivery.Webhook) { w.Enabled = false })
	want(many+3, "with two of a disabled webhook")
	f.must(f.store.DeleteWebhook(f.Context(), mine[0].Ref()))
	want(many+1, "without those of a deleted webhook")
}
