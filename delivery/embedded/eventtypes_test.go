package embedded

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

const typesRetention = 14 * 24 * time.Hour

func (s *Store) noteAll(t *testing.T, names ...string) error {
	t.Helper()
	return s.NoteEventTypes(t.Context(), "acme", names, typesRetention)
}

func typeNames(from, to int) (names []string) {
	for i := from; i < to; i++ {
		names = append(names, fmt.Sprint("type ", i))
	}
	return names
}

// logTypes writes a request of each type, the last one first.
func logTypes(t testing.TB, s *Store, w *delivery.Webhook, types ...string) {
	t.Helper()
	for _, name := range types {
		o := delivery.Outcome{Request: delivery.Request{
			Tenant: w.Tenant, ID: delivery.NewID(s.Now()), WebhookID: w.ID, EventID: uuid.New(),
			EventType: name, Trigger: delivery.TriggerRerun, Status: delivery.RequestSuccess, StatusCode: 200,
		}, ReceivedAt: s.Now()}
		if err := errors.Join(s.Complete(t.Context(), []delivery.Outcome{o})...); err != nil {
			t.Fatal(err)
		}
	}
}

func newHook(t testing.TB, s *Store) *delivery.Webhook {
	t.Helper()
	w := &delivery.Webhook{Tenant: "acme", ID: delivery.NewID(s.Now()), URL: "https://example.com", Enabled: true, EventTypes: []string{"*"}}
	if err := s.CreateWebhook(t.Context(), w, delivery.MaxWebhooks); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestTypesOfLogCount opens a store whose log has more event types than it may: they are known,
// and there is no room for others until they have left the log.
func TestTypesOfLogCount(t *testing.T) {
	folder := t.TempDir()
	s := New(folder)
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	logTypes(t, s, newHook(t, s), typeNames(0, delivery.MaxEventTypes+typesPerRead)...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, folder)
	if err := s.noteAll(t, typeNames(typesPerRead, delivery.MaxEventTypes+typesPerRead)...); err != nil {
		t.Errorf("types of the log: %v", err)
	}
	if err := s.noteAll(t, "type 1", "another"); !errors.Is(err, delivery.ErrTooManyEventTypes) {
		t.Errorf("another type: %v", err)
	}
	for more := true; more; {
		var err error
		if more, err = s.Sweep(t.Context(), -time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	// The log is not read at each refusal.
	if err := s.noteAll(t, "another"); !errors.Is(err, delivery.ErrTooManyEventTypes) {
		t.Errorf("at once: %v", err)
	}
	now := s.Now().Add(readTypesAgain)
	s.clock.read = func() (time.Time, time.Duration) { return now, time.Hour }
	if err := s.noteAll(t, "another"); !errors.Is(err, delivery.ErrTooManyEventTypes) {
		t.Errorf("while types that were noted may come: %v", err)
	}
	now = now.Add(typesRetention + 2*delivery.EventGrace)
	if err := s.noteAll(t, "another"); err != nil {
		t.Errorf("when the types have left the log: %v", err)
	}
}
