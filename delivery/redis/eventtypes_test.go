package redis

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

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
	_, note := noteMost(t, s)
	if err := note("old 1", "0", "old 0"); err != nil {
		t.Errorf("types of the log: %v", err)
	}
	for _, refused := range [][]string{{"new"}, {"old 1", "new"}, {"old 2"}} {
		if err := note(refused...); !errors.Is(err, delivery.ErrTooManyEventTypes) {
			t.Errorf("%q: %v", refused, err)
		}
	}
}

// TestRefusedTypesAreLookedForSeldom has a tenant that has all types that it may have emit others,
// again and again: these are no longer looked for in its log, until some time has passed.
func TestRefusedTypesAreLookedForSeldom(t *testing.T) {
	s := open(t, options())
	w := addWebhook(t, s, testTenant)
	call := newCall(s, w, 1, 10, true)
	accepted := mustAccept(t, s, call)
	if err := errors.Join(s.Complete(t.Context(), []delivery.Outcome{success(s, w, &call.Events[0], &accepted)})...); err != nil {
		t.Fatal(err)
	}
	names, note := noteMost(t, s)
	before := calls(t, s, "hget")
	for i := range 20 {
		for j := range names {
			names[j] = fmt.Sprint("refused ", i, j)
		}
		if err := note(names...); !errors.Is(err, delivery.ErrTooManyEventTypes) {
			t.Fatal(err)
		}
	}
	if n := calls(t, s, "hget") - before; n < maxLookUps || n > 2*maxLookUps {
		t.Errorf("%d types were looked for, want about %d", n, maxLookUps)
	}
	if err := note("1", "2"); err != nil {
		t.Errorf("types that are noted: %v", err)
	}
}

// TestLookUps counts for each tenant, gives one back after the other, and forgets who has all.
func TestLookUps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lookUps
		want := func(tenant string, n int) {
			t.Helper()
			if left := l.left(tenant); left != n {
				t.Errorf("%s has %d left, want %d", tenant, left, n)
			}
		}
		want("a", maxLookUps)
		l.use("a", 30)
		want("a", maxLookUps-30)
		want("b", maxLookUps)
		time.Sleep(20 * lookUpEvery)
		want("a", maxLookUps-10)
		l.use("a", 3*maxLookUps)
		want("a", 0)
		time.Sleep(2*maxLookUps*lookUpEvery + 15*lookUpEvery)
		want("a", 5)
		time.Sleep(time.Hour)
		want("a", maxLookUps)
		for i := range 10 * minLookUpTenants {
			l.use(fmt.Sprint(i), 1)
			time.Sleep(lookUpEvery)
		}
		if n := len(l.full); n > minLookUpTenants+1 {
			t.Errorf("%d tenants are known", n)
		}
	})
}

// noteMost notes as many types as a tenant may have, and returns them and what notes others.
func noteMost(t *testing.T, s *Store) (names []string, note func(names ...string) error) {
	t.Helper()
	names = make([]string, delivery.MaxEventTypes)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	note = func(names ...string) error {
		return s.NoteEventTypes(t.Context(), testTenant, names, testRetention)
	}
	if err := note(names...); err != nil {
		t.Fatal(err)
	}
	return names, note
}
