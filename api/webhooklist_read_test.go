package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/memory"
)

// countedStore counts which whole webhooks are read, slowly, and fails after some.
type countedStore struct {
	delivery.Store
	read, most atomic.Int64
}

func (s *countedStore) WebhooksOf(ctx context.Context, tenant string, ids []uuid.UUID) ([]*delivery.Webhook, int64, error) {
	if n := s.read.Add(int64(len(ids))); n > s.most.Load() {
		return nil, 0, delivery.ErrUnavailable
	}
	time.Sleep(3 * time.Second)
	return s.Store.WebhooksOf(ctx, tenant, ids)
}

// firstWrite notes how many webhooks had been read when a response began to be sent, and
// whether its reader was given up.
type firstWrite struct {
	*httptest.ResponseRecorder
	store   *countedStore
	read    int64
	givenUp bool
}

func (w *firstWrite) Write(b []byte) (int, error) {
	if w.read == 0 {
		w.read = w.store.read.Load()
	}
	return w.ResponseRecorder.Write(b)
}

func (w *firstWrite) SetWriteDeadline(time.Time) error {
	w.givenUp = true
	return nil
}

// TestWebhookListMemory lists many large webhooks: what is not sent yet is not in memory. For
// how long the store takes, nobody is given up, and what it cannot give does not look like an end.
func TestWebhookListMemory(t *testing.T) { synctest.Test(t, testWebhookListMemory) }

func testWebhookListMemory(t *testing.T) {
	const n, size = 1000, 6 << 10
	store := &countedStore{Store: memory.New()}
	store.most.Store(10 * n)
	engine := delivery.NewEngine(store)
	detach := engine.Attach(delivery.DefaultSettings(), zap.NewNop())
	defer func() {
		detach()
		if err := engine.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	for i := range n {
		w := delivery.Webhook{Tenant: "t", URL: fmt.Sprint("https://example.com/", i), Description: strings.Repeat("x", size)}
		if _, err := engine.CreateWebhook(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	types, err := NewEventTypes(nil)
	if err != nil {
		t.Fatal(err)
	}
	a := New(Backend{Engine: engine, EventTypes: types, Log: zap.NewNop(), InForce: t.Context()})
	list := func(query string) *firstWrite {
		store.read.Store(0)
		w := &firstWrite{ResponseRecorder: httptest.NewRecorder(), store: store}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/webhooks"+query, nil)
		if err := a.Serve(w, r, Caller{Role: Admin, Tenant: "t", Serving: t.Context()}); err != nil {
			t.Fatal(err)
		}
		return w
	}
	w := list("")
	if w.read > n/2 || strings.Count(w.Body.String(), `"url"`) != n {
		t.Errorf("before the first byte was sent, %d webhooks were read, and %d were sent", w.read, strings.Count(w.Body.String(), `"url"`))
	}
	if w.givenUp {
		t.Error("who waits for the store was given up")
	}
	if w := list("?limit=3"); w.read > 3 {
		t.Errorf("for a page of 3, %d webhooks were read", w.read)
	}
	store.most.Store(n / 2)
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("a list that could not be read to its end was ended as if it was: %v", err)
		}
	}()
	list("")
}
