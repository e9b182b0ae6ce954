package storetest

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
)

// Keyring makes a keyring of keys that consist of one byte each.
func Keyring(t testing.TB, payloads bool, keys ...byte) *encryption.Keyring {
	t.Helper()
	all := make([][]byte, len(keys))
	for i, b := range keys {
		all[i] = bytes.Repeat([]byte{b}, encryption.KeySize)
	}
	r, err := encryption.New(all, payloads)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// RunMissingKey takes the key of payloads away from a store, and gives it back.
func RunMissingKey(t *testing.T, s delivery.Encrypter, use func(*encryption.Keyring)) {
	t.Helper()
	keys := Keyring(t, true, 1)
	use(keys)
	ctx, now := t.Context(), s.Now()
	w := &delivery.Webhook{
		Tenant: "acme", ID: delivery.NewID(now), URL: "https://example.com/", Enabled: true,
		EventTypes: []string{delivery.AllEventTypes}, CreatedAt: now, UpdatedAt: now,
	}
	if err := s.CreateWebhook(ctx, w, delivery.MaxWebhooks); err != nil {
		t.Fatal(err)
	}
	_, version, err := Webhooks(ctx, s, w.Tenant)
	if err != nil {
		t.Fatal(err)
	}
	e := delivery.AcceptEvent{
		ID: delivery.NewID(now), Type: "group_created", OccurredAt: now, Payload: []byte(`{"event_type":"group_created"}`),
		Targets: []delivery.Target{{Webhook: w.ID}},
	}
	accepted := s.Accept(ctx, delivery.AcceptBatch{
		Calls:     []delivery.AcceptCall{{Tenant: w.Tenant, Version: version, Nonce: uuid.New(), Events: []delivery.AcceptEvent{e}}},
		Retention: time.Hour,
	})[0]
	if accepted.Err != nil {
		t.Fatal(accepted.Err)
	}
	row := delivery.Request{
		Tenant: w.Tenant, ID: delivery.NewID(now), WebhookID: w.ID, EventID: e.ID, EventType: e.Type, OccurredAt: now,
		Trigger: delivery.TriggerRerun, Status: delivery.RequestFailed, StatusCode: 500, ResponseBody: "no",
	}
	if errs := s.Complete(ctx, []delivery.Outcome{{Request: row, ReceivedAt: accepted.At}}); errs != nil {
		t.Fatal(errs)
	}
	for _, other := range []*encryption.Keyring{nil, Keyring(t, true, 2)} {
		use(other)
		_, _, err := s.Event(ctx, w.Tenant, e.ID)
		wantMissing(t, "the payload of an event", err)
		_, err = s.Request(ctx, w.Tenant, row.ID)
		wantMissing(t, "the body of a response", err)
		if page, err := s.Requests(ctx, w.Tenant, delivery.RequestFilter{EventID: e.ID, Limit: 10}); err != nil || len(page.Requests) != 1 {
			t.Errorf("the log is %+v, %v", page, err)
		}
		if jobs := claimSoon(t, s); len(jobs) != 0 {
			t.Errorf("claimed %+v", jobs)
		}
		wantMissing(t, "", s.Encryption().Err)
	}
	use(Keyring(t, true, 2, 1))
	if jobs := claimUntilAny(t, s); string(jobs[0].Event.Payload) != string(e.Payload) {
		t.Errorf("claimed %s", jobs[0].Event.Payload)
	}
	if r, err := s.Request(ctx, w.Tenant, row.ID); err != nil || r.ResponseBody != "no" {
		t.Errorf("read as %+v, %v", r, err)
	}
	if n := s.SetAside(); n != 0 {
		t.Errorf("%d records were set aside", n)
	}
}

func wantMissing(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, delivery.ErrUnavailable) || !strings.Contains(err.Error(), what+" is encrypted with a key that is not configured") {
		t.Errorf("%s: %v", what, err)
	}
}

// claimSoon claims with leases that end at once.
func claimSoon(t *testing.T, s delivery.Store) []delivery.Job {
	t.Helper()
	claimed, err := s.Claim(t.Context(), 0, delivery.Room{Fast: 10, PerWebhook: 10, Lease: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return claimed.Jobs
}

func claimUntilAny(t *testing.T, s delivery.Store) []delivery.Job {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if jobs := claimSoon(t, s); len(jobs) > 0 {
			return jobs
		}
	}
	t.Fatal("nothing falls due")
	return nil
}
