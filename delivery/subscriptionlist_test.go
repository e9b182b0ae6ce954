package delivery

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/uuid"
)

// checkList compares a list with the subscriptions that it should have, in their order, and looks
// whether its parts are as they should be.
func checkList(t *testing.T, l *subscriptionList, want []*subscription) {
	t.Helper()
	if got := slices.Collect(l.all()); !slices.Equal(got, want) || l.length != len(want) {
		t.Fatalf("the list has %d subscriptions, and says %d, want %d", len(got), l.length, len(want))
	}
	for _, part := range l.parts {
		if len(part) == 0 || len(part) > 2*listPart {
			t.Fatalf("a part has %d subscriptions", len(part))
		}
	}
	if len(l.parts) > 4*(l.length/listPart+1) {
		t.Fatalf("%d subscriptions are in %d parts", l.length, len(l.parts))
	}
}

// randomList makes a list by some changes, and what it should have.
func randomList(r *rand.Rand, changes int) (l subscriptionList, want []*subscription) {
	for range changes {
		if len(want) > 0 && r.IntN(3) == 0 {
			at := r.IntN(len(want))
			l = l.without(want[at])
			want = slices.Delete(slices.Clone(want), at, at+1)
			continue
		}
		of := &subscription{id: uuid.New(), created: r.Int64N(50)}
		at, _ := slices.BinarySearchFunc(want, of, older)
		l = l.with(of)
		want = slices.Insert(slices.Clone(want), at, of)
	}
	return l, want
}

// Whatever is added and removed, a list has the rest in its order, and what it was before stays.
func TestSubscriptionList(t *testing.T) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 0))
		l, want := randomList(r, r.IntN(3000))
		checkList(t, &l, want)
		made := newSubscriptionList(slices.Clone(want))
		checkList(t, &made, want)
		if ids := l.ids(); len(ids) != len(want) || len(want) > 0 && ids[0] != want[0].id {
			t.Errorf("%d ids, want %d", len(ids), len(want))
		}
		before, had := l, slices.Clone(want)
		for len(want) > 0 { // all but some go, one after the other
			at := r.IntN(len(want))
			of := want[at]
			if same := l.find(of.id); same != of {
				t.Fatal("a subscription is not found by its webhook")
			}
			if same := l.like(&subscription{id: of.id, created: of.created + r.Int64N(2)}); same != of {
				t.Fatal("a subscription is not found by another one to its webhook")
			}
			l = l.without(of)
			if want = slices.Delete(want, at, at+1); len(want)%100 == 0 {
				checkList(t, &l, want)
			}
			if l.like(of) != nil {
				t.Fatal("what was removed is found")
			}
		}
		checkList(t, &l, nil)
		checkList(t, &before, had)
	}
}

// A change copies a part of a list.
func TestSubscriptionListSharesParts(t *testing.T) {
	l, _ := randomList(rand.New(rand.NewPCG(1, 2)), 20*listPart)
	of := &subscription{id: uuid.New(), created: 25}
	for _, next := range []subscriptionList{l.with(of), l.without(l.parts[3][1])} {
		shared := 0
		for i, part := range next.parts {
			for _, n := range []int{i - 1, i} {
				if n >= 0 && n < len(l.parts) && &part[0] == &l.parts[n][0] {
					shared++
				}
			}
		}
		if shared != len(l.parts)-1 {
			t.Errorf("%d of %d parts are shared", shared, len(l.parts))
		}
	}
}

// What is left of a list is taken from either end, from any place on, in steps of any length.
func TestRestOfList(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		l, all := randomList(r, r.IntN(1000))
		newestFirst := r.IntN(2) == 0
		rest, want := l.rest(newestFirst), slices.Clone(all)
		if r.IntN(4) > 0 {
			place := &subscription{id: uuid.New(), created: r.Int64N(52) - 1}
			if len(all) > 0 && r.IntN(2) == 0 {
				place = all[r.IntN(len(all))]
			}
			rest = l.behind(place, newestFirst)
			want = slices.DeleteFunc(want, func(s *subscription) bool {
				return s == place || (older(s, place) < 0) != newestFirst
			})
		}
		if newestFirst {
			slices.Reverse(want)
		}
		var got []*subscription
		for !rest.isEmpty() {
			n := 1 + r.IntN(2*listPart)
			some := rest.take(n)
			if len(some) == 0 || len(some) > n {
				t.Fatalf("%d were taken, should be up to %d", len(some), n)
			}
			got = append(got, some...)
		}
		if !slices.Equal(got, want) || len(rest.take(1)) != 0 {
			t.Fatalf("%d were left, should be %d", len(got), len(want))
		}
		checkList(t, &l, all)
	}
}
