package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"
)

// loader has a store's webhooks by tenant, and counts how often it is asked for them.
type loader struct {
	webhooks map[string][]*Webhook
	err      error
	asked    int
}

func (l *loader) load(_ context.Context, tenant string) ([]*Webhook, int64, error) {
	l.asked++
	return l.webhooks[tenant], int64(l.asked), l.err
}

func subscribed(types ...string) *Webhook {
	return &Webhook{ID: uuid.New(), Enabled: true, EventTypes: types}
}

func TestWebhooksAreRemembered(t *testing.T) {
	a, b := subscribed("x"), subscribed("x")
	l := &loader{webhooks: map[string][]*Webhook{"a": {a}, "b": {b}}}
	s := webhookCache{load: l.load, most: maxRemembered}
	for _, step := range []struct {
		tenant  string
		forget  string
		want    *Webhook
		version int64
	}{
		{"a", "", a, 1},
		{"a", "", a, 1},
		{"b", "", b, 2},
		{"a", "", a, 1},
		{"a", "nobody", a, 1},
		{"a", "a", a, 3},
		{"b", "", b, 2},
	} {
		if step.forget != "" {
			s.forget(step.forget)
		}
		got, err := s.get(t.Context(), step.tenant)
		if err != nil {
			t.Fatal(err)
		}
		if got.version != step.version || !slices.Equal(got.wanting("x"), []*Webhook{step.want}) {
			t.Errorf("%+v: got version %d, %v", step, got.version, got.wanting("x"))
		}
	}
}

func TestErrorsAreNotRemembered(t *testing.T) {
	w := subscribed("x")
	l := &loader{webhooks: map[string][]*Webhook{"a": {w}}, err: ErrUnavailable}
	s := webhookCache{load: l.load, most: maxRemembered}
	if _, err := s.get(t.Context(), "a"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	l.err = nil
	got, err := s.get(t.Context(), "a")
	if err != nil || !slices.Equal(got.wanting("x"), []*Webhook{w}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestWanting(t *testing.T) {
	x, xy, all := subscribed("x"), subscribed("x", "y"), subscribed("*")
	disabled := subscribed("*")
	disabled.Enabled = false
	tenant := tenantWebhooks{webhooks: []*Webhook{x, disabled, xy, all}}
	for range 2 { // the second answer comes from memory
		for eventType, want := range map[string][]*Webhook{
			"x": {x, xy, all}, "y": {xy, all}, "z": {all},
		} {
			if got := tenant.wanting(eventType); !slices.Equal(got, want) {
				t.Errorf("%s: got %v, want %v", eventType, got, want)
			}
		}
	}
}

// With event_types *, emitters can use any number of names.
func TestWantingIsBounded(t *testing.T) {
	all := subscribed("*")
	tenant := tenantWebhooks{webhooks: []*Webhook{all}}
	for i := range 10 * maxRememberedTypes {
		if got := tenant.wanting(fmt.Sprint(i)); !slices.Equal(got, []*Webhook{all}) {
			t.Fatalf("type %d: got %v", i, got)
		}
		if len(tenant.byType) > maxRememberedTypes {
			t.Fatalf("%d types are remembered", len(tenant.byType))
		}
	}
}

func TestRememberedWebhooksAreBounded(t *testing.T) {
	l := &loader{webhooks: map[string][]*Webhook{}}
	s := webhookCache{load: l.load, most: maxRemembered}
	many := make([]*Webhook, MaxWebhooks)
	for i := range 30 {
		tenant := fmt.Sprint("large", i)
		l.webhooks[tenant] = many
		if _, err := s.get(t.Context(), tenant); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5000 {
		tenant := fmt.Sprint(i)
		if _, err := s.get(t.Context(), tenant); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			s.forget(tenant)
		}
	}
	size := 0
	for _, tenant := range s.tenants {
		size += 1 + len(tenant.webhooks)
	}
	if s.size != size {
		t.Errorf("it counts %d webhooks and tenants, but there are %d", s.size, size)
	}
	if most := maxRemembered + 1 + MaxWebhooks; size > most {
		t.Errorf("%d webhooks and tenants are remembered, more than %d", size, most)
	}
}
