package embedded

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// An indexed schedule gives out, changes and removes deliveries as one does to which they
// were added one by one.
func TestScheduleIndex(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var one, all schedule
	for event := range uint64(500) {
		due := max(0, random.Int64N(200)-100)
		one.set(event, due)
		all.heap = append(all.heap, entry{due, event})
	}
	random.Shuffle(len(all.heap), func(i, j int) { all.heap[i], all.heap[j] = all.heap[j], all.heap[i] })
	all.index()
	for _, s := range []*schedule{&one, &all} {
		s.set(7, 1000)
		s.remove(8)
	}
	if due, ok := all.due(7); !ok || due != 1000 {
		t.Errorf("the delivery that was changed is due at %d, %t", due, ok)
	}
	want, got := one.take(500, 1000, 2000), all.take(500, 1000, 2000)
	if len(got) != 499 || !slices.Equal(got, want) {
		t.Errorf("%d deliveries in another order, want %d", len(got), len(want))
	}
	var none schedule
	if none.index(); none.first() != never {
		t.Error("an empty schedule has a delivery")
	}
}

// TestScheduleRandom compares a schedule with a map, by which it is right.
func TestScheduleRandom(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var s schedule
	want := make(map[uint64]int64)
	for range 20_000 {
		event := random.Uint64N(100)
		switch random.IntN(10) {
		case 0, 1, 2:
			s.remove(event)
			delete(want, event)
		case 3, 4:
			s.set(event, never)
			want[event] = never
		case 5:
			for _, e := range s.take(3, 500, 700) {
				if want[e.event] != e.due || e.due > 500 {
					t.Fatalf("%+v was taken, which is due at %d", e, want[e.event])
				}
				want[e.event] = 700
			}
		default:
			due := random.Int64N(1000)
			s.set(event, due)
			want[event] = due
		}
		first := int64(never)
		for event, due := range want {
			first = min(first, due)
			if got, ok := s.due(event); !ok || got != due {
				t.Fatalf("%d is due at %d, %t, want %d", event, got, ok, due)
			}
		}
		if s.first() != first || s.Len() != len(want) {
			t.Fatalf("%d deliveries, the first is due at %d, want %d and %d", s.Len(), s.first(), len(want), first)
		}
	}
}
