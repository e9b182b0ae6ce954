package follow

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

func noRows(context.Context, string, []uuid.UUID) ([]delivery.Request, error) { return nil, nil }

// TestSealedPositions opens what it has sealed, and nothing else.
func TestSealedPositions(t *testing.T) {
	s := newSealer(NewRing(noRows))
	for _, p := range []Position{{1, 2, 3}, {1 << 63, 0, All}, {}} {
		text, again := s.seal("acme", p), s.seal("acme", p)
		if got := s.open("acme", text); got != p {
			t.Errorf("%v became %v", p, got)
		}
		if text == again || len(text) != len(again) || s.open("acme", again) != p {
			t.Errorf("%v is %q and %q", p, text, again)
		}
		for _, wrong := range []string{p.String(), text[1:], text + "A", "A" + text[1:], text[:79] + "!", "", "-"} {
			if wrong != text && s.open("acme", wrong) != (Position{}) {
				t.Errorf("%q is a position", wrong)
			}
		}
		if s.open("other", text) != (Position{}) || newSealer(NewRing(noRows)).open("acme", text) != (Position{}) {
			t.Errorf("%v is another tenant's, or store's", p)
		}
	}
}

// TestIdleFollower waits while others write, and while nobody does: it moves on, and shows
// neither.
func TestIdleFollower(t *testing.T) {
	ring := NewRing(noRows)
	hub := NewHub(ring)
	defer hub.Wait()
	defer hub.Stop()
	given, err := hub.Follow(t.Context(), "acme", "")
	if err != nil {
		t.Fatal(err)
	}
	defer given.Close()
	f, ok := given.(*follower)
	if !ok {
		t.Fatalf("got a %T", given)
	}
	wait := func() {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := f.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	}
	before, text := f.at, f.Position()
	if f.Position() != text {
		t.Error("the position has two texts")
	}
	wait()
	if f.at != before || f.Position() == text {
		t.Errorf("nobody wrote, and the position is %v, %q", f.at, f.Position())
	}
	ring.Add(Item{Tenant: "other", ID: uuid.New()})
	for deadline := time.Now().Add(time.Minute); f.at == before; wait() {
		if time.Now().After(deadline) {
			t.Fatal("the position stays")
		}
	}
}
