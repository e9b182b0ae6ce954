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
