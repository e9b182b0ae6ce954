package redis

import (
	"errors"
	"strconv"
	"testing"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// changesSince fails the test unless the store can tell what has changed, or cannot, as wanted.
func changesSince(t *testing.T, s *Store, since int64, known bool) delivery.WebhookChanges {
	t.Helper()
	changes, err := s.WebhookChanges(t.Context(), testTenant, since)
	if err != nil || changes.Known != known {
		t.Fatalf("since version %d: %+v, %v; want known: %v", since, changes, err, known)
	}
	return changes
}

// disable changes a webhook.
func disable(t *testing.T, s *Store, w *delivery.Webhook) {
	t.Helper()
	changed := *w
	changed.Enabled = false
	if err := s.UpdateWebhook(t.Context(), &changed, version(s, testTenant)); err != nil {
		t.Fatal(err)
	}
}

// A process of an earlier version raises the version of the webhooks and keeps no changes. Nobody
// may take what is missing for nothing.
func TestChangesByEarlierVersion(t *testing.T) {
	s := open(t, options())
	w, other := addWebhook(t, s, testTenant), addWebhook(t, s, testTenant)
	before := version(s, testTenant)
	raise := func() {
		if err := s.client().HIncrBy(t.Context(), webhooksKey(s.keys.base(0), testTenant), versionField, 1).Err(); err != nil {
			t.Fatal(err)
		}
	}
	raise()
	changesSince(t, s, before, false)
	between := version(s, testTenant)
	disable(t, s, w)
	changesSince(t, s, before, false)
	if got := changesSince(t, s, between, true); len(got.Webhooks) != 1 || got.Webhooks[0].ID != w.ID {
		t.Errorf("changed since an earlier version did something: %+v", got)
	}
	raise()
	disable(t, s, other)
	changesSince(t, s, before, false)
	changesSince(t, s, between, false)

	// What an earlier version has written has no changes at all.
	if err := s.client().Del(t.Context(), s.keys.base(0)+"changes:"+testTenant).Err(); err != nil {
		t.Fatal(err)
	}
	now := version(s, testTenant)
	changesSince(t, s, now, true)
	changesSince(t, s, now-1, false)
	disable(t, s, w)
	changesSince(t, s, now, true)
}

// A failover loses the last changes. What follows them must not look like the same versions.
func TestChangesAfterFailover(t *testing.T) {
	s := open(t, options())
	w, other := addWebhook(t, s, testTenant), addWebhook(t, s, testTenant)
	replica := version(s, testTenant)
	keys := []string{webhooksKey(s.keys.base(0), testTenant), s.keys.base(0) + "changes:" + testTenant, stateKey(s.keys.base(0))}
	dumps := make([]string, len(keys))
	for i, key := range keys {
		dumps[i] = s.client().Dump(t.Context(), key).Val()
	}
	disable(t, s, w)
	lost := version(s, testTenant)
	for i, key := range keys {
		if err := s.client().RestoreReplace(t.Context(), key, 0, dumps[i]).Err(); err != nil {
			t.Fatal(err)
		}
	}
	changesSince(t, s, lost, false)
	disable(t, s, other)
	if version(s, testTenant) == lost {
		t.Errorf("version %d comes twice, for different webhooks", lost)
	}
	changesSince(t, s, lost, false)
	changesSince(t, s, replica, true)
	call := newCall(s, w, 1, 10, false)
	call.Version = lost
	if err := accept(s, call).Err; !errors.Is(err, delivery.ErrStale) {
		t.Errorf("targets chosen from a version that was lost: %v", err)
	}
}

// What is remembered from before all data, or a tenant's webhooks, were lost tells nothing.
func TestChangesAfterLoss(t *testing.T) {
	s := open(t, options())
	addWebhook(t, s, testTenant)
	before := version(s, testTenant)
	if err := s.client().Del(t.Context(), webhooksKey(s.keys.base(0), testTenant)).Err(); err != nil {
		t.Fatal(err)
	}
	changesSince(t, s, before, false)
	addWebhook(t, s, testTenant)
	changesSince(t, s, before, false)
}

// A change that was noted but not made, since a script broke off, is none.
func TestChangesOfBrokenOffScript(t *testing.T) {
	s := open(t, options())
	w := addWebhook(t, s, testTenant)
	before := version(s, testTenant)
	raised := strconv.FormatInt(before+1, 10)
	if err := s.client().Do(t.Context(), "ZADD", s.keys.base(0)+"changes:"+testTenant, raised, raised+":"+w.ID.String()).Err(); err != nil {
		t.Fatal(err)
	}
	changesSince(t, s, before, true)
	changesSince(t, s, before+1, false)
	disable(t, s, w)
	if got := changesSince(t, s, before, true); len(got.Webhooks) != 1 {
		t.Errorf("changed: %+v", got)
	}
}

// States that were lost are put right before webhooks are chosen from what is read.
func TestPagesPutStatesRight(t *testing.T) {
	s := open(t, options())
	w := addWebhook(t, s, testTenant)
	before := version(s, testTenant)
	changed := addWebhook(t, s, testTenant)
	read := map[string]func(){
		"page":    func() { _, _ = s.WebhookPage(t.Context(), testTenant, "") },
		"changes": func() { changesSince(t, s, before, true) },
		"of ids":  func() { _, _, _ = s.WebhooksOf(t.Context(), testTenant, []uuid.UUID{w.ID, changed.ID}) },
	}
	for how, do := range read {
		if err := s.client().HDel(t.Context(), stateKey(s.keys.base(0)), refText(changed.Ref())).Err(); err != nil {
			t.Fatal(err)
		}
		do()
		if state := s.client().HGet(t.Context(), stateKey(s.keys.base(0)), refText(changed.Ref())).Val(); state != "e" {
			t.Errorf("%s: the state is %q, want e", how, state)
		}
	}
}
