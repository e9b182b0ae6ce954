package api

import "testing"

// TestCaddyEventTypes: where Caddy's events are emitted, webhooks may want them, and still nobody
// may emit them by the API.
func TestCaddyEventTypes(t *testing.T) {
	t.Parallel()
	types, err := NewEventTypes([]string{"order_created"})
	if err != nil {
		t.Fatal(err)
	}
	if types.mayWant("caddy.cert_failed") == nil {
		t.Error("wanted where Caddy's events are not emitted")
	}
	types.AllowCaddyEvents()
	for name, want := range map[string]bool{
		"order_created": true, "caddy.cert_failed": true, "caddy.webhooks.store_available": true,
		"cert_failed": false, "caddy.\n": false, "caddyx": false,
	} {
		if got := types.mayWant(name) == nil; got != want {
			t.Errorf("a webhook may want %q: %v", name, got)
		}
	}
	if types.check("caddy.cert_failed") == nil {
		t.Error("the API lets others emit it")
	}
	if _, ok := types.find([]byte("caddy.cert_failed")); ok {
		t.Error("the API lets others emit it in a plain body")
	}
}

// TestCaddyEventTypesOfAnyName: where events may have any name, those of Caddy's are still its own.
func TestCaddyEventTypesOfAnyName(t *testing.T) {
	t.Parallel()
	types, err := NewEventTypes([]string{"*"})
	if err != nil {
		t.Fatal(err)
	}
	allowed := func(name string) bool {
		_, found := types.find([]byte(name))
		if checked := types.check(name) == nil; checked != found || checked != (types.CheckType(name) == nil) {
			t.Errorf("%s is a type in one form of an event and not in another", name)
		}
		return found
	}
	if !allowed("caddy.cert_failed") {
		t.Error("refused where Caddy's events are not emitted")
	}
	types.AllowCaddyEvents()
	if allowed("caddy.cert_failed") || !allowed("caddy") || types.mayWant("caddy.cert_failed") != nil {
		t.Error("others may emit Caddy's events, or webhooks may not want them")
	}
}
