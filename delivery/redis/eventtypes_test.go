package redis

import (
	"errors"
	"fmt"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// TestTypesInLogAreNoted has a log with types that were not noted, as from an earlier version:
// they are no new ones.
func TestTypesInLogAreNoted(t *testing.T) {
	s := open(t, options())
	w := addWebhook(t, s, testTenant)
	call := newCall(s, w, 2, 10, true)
	accepted := mustAccept(t, s, call)
	var outcomes []delivery.Outcome
	for i := range call.Events {
		o := success(s, w, &call.Events[i], &accepted)
		o.Request.EventType = fmt.Sprint("old ", i)
		outcomes = append(outcomes, o)
	}
	if err := errors.Join(s.Complete(t.Context(), outcomes)...); err != nil {
		t.Fatal(err)
	}
	names := make([]string, delivery.MaxEventTypes)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	note := func(names ...string) error {
		return s.NoteEventTypes(t.Context(), testTenant, names, testRetention)
	}
	if err := note(names...); err != nil {
		t.Fatal(err)
	}
	if err := note("old 1", "0", "old 0"); err != nil {
		t.Errorf("types of the log: %v", err)
	}
	for _, refused := range [][]string{{"new"}, {"old 1", "new"}, {"old 2"}} {
		if err := note(refused...); !errors.Is(err, delivery.ErrTooManyEventTypes) {
			t.Errorf("%q: %v", refused, err)
		}
	}
}
