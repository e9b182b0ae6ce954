package redis

import "testing"

// TestDataLost loses all data, as by FLUSHALL, while a process remembers webhooks. What it
// remembers is not current, although as many webhooks are created as there were.
func TestDataLost(t *testing.T) {
	t.Parallel()
	o := options()
	d, there := newDriver(t, o), open(t, o)
	addWebhook(t, there, testTenant)
	if !d.emit(testTenant, 2) {
		t.Fatal("an event was not accepted")
	}
	d.drain()

	keys := there.client().Keys(t.Context(), o.KeyPrefix+":*").Val()
	if err := there.client().Del(t.Context(), keys...).Err(); err != nil {
		t.Fatal(err)
	}
	clear(d.acknowledged)
	w := addWebhook(t, there, testTenant)
	if !d.emit(testTenant, 2) {
		t.Fatal("an event was not accepted")
	}
	d.drain()
	for key := range d.acknowledged {
		if key.webhook != w.ID || d.sent[key] != 1 {
			t.Errorf("%v was sent %d times", key, d.sent[key])
		}
	}
	if len(d.acknowledged) != 2 {
		t.Errorf("%d deliveries, want 2", len(d.acknowledged))
	}
}
