package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// typeNames makes names of event types.
func typeNames(from, to int) []string {
	names := make([]string, 0, to-from)
	for i := from; i < to; i++ {
		names = append(names, fmt.Sprintf("type %d \x00 ☎", i))
	}
	return names
}

func testMostEventTypes(f *fixture) {
	note := func(of string, names ...string) error {
		return f.store.NoteEventTypes(f.Context(), of, names, retention)
	}
	const most = delivery.MaxEventTypes
	f.must(note(tenant, typeNames(0, most-2)...))
	for range 2 {
		if err := note(tenant, typeNames(most-3, most+1)...); !errors.Is(err, delivery.ErrTooManyEventTypes) {
			f.Fatalf("one type too many: %v", err)
		}
	}
	f.must(note(tenant, typeNames(most, most+2)...)) // nothing was noted of what was refused
	if err := note(tenant, "another"); !errors.Is(err, delivery.ErrTooManyEventTypes) {
		f.Errorf("another type: %v", err)
	}
	f.must(note(tenant, typeNames(0, 10)...))
	f.must(note("other", "another"))
	// All that was noted before is as old as the retention now.
	f.must(f.store.NoteEventTypes(f.Context(), tenant, []string{"another"}, -3*retention))
}

// testEventTypesTogether notes types at the same time, more than there may be.
func testEventTypesTogether(f *fixture) {
	const workers = 16
	var noted atomic.Int64
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for i := worker; i < delivery.MaxEventTypes+100; i += workers {
				switch err := f.store.NoteEventTypes(f.Context(), tenant, typeNames(i, i+1), retention); {
				case err == nil:
					noted.Add(1)
				case !errors.Is(err, delivery.ErrTooManyEventTypes):
					f.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := noted.Load(); n != delivery.MaxEventTypes {
		f.Errorf("%d types were noted, want %d", n, delivery.MaxEventTypes)
	}
}
