package storetest

import (
	"slices"
	"strconv"
	"sync"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// thisHour is the slice of time in which bytes are stored now, if slices are of an hour.
func (f *fixture) thisHour() int64 { return f.store.Now().Unix() / 3600 }

// testCountStored counts what tenants store, over several slices.
func testCountStored(f *fixture) {
	const large = 1 << 50
	now := f.thisHour()
	for i, step := range []struct {
		slice, first int64
		added        []delivery.StoredBytes
		want         []int64
	}{
		{now, now - 10, []delivery.StoredBytes{{Tenant: "a", Bytes: 5}, {Tenant: "b", Bytes: large}, {Tenant: "none"}}, []int64{5, large, 0}},
		{now, now - 10, []delivery.StoredBytes{{Tenant: "b", Bytes: 7}, {Tenant: "a", Bytes: 1}}, []int64{large + 7, 6}},
		{now + 3, now - 7, []delivery.StoredBytes{{Tenant: "a", Bytes: 10}, {Tenant: "b"}}, []int64{16, large + 7}},
		{now + 5, now, []delivery.StoredBytes{{Tenant: "a"}, {Tenant: "b"}}, []int64{16, large + 7}},
		{now + 5, now + 1, []delivery.StoredBytes{{Tenant: "a"}, {Tenant: "b"}}, []int64{10, 0}},
		{now + 5, now + 1, []delivery.StoredBytes{{Tenant: "a", Bytes: 2}}, []int64{12}},
		{now + 5, now - 10, []delivery.StoredBytes{{Tenant: "a"}}, []int64{12}}, // what was forgotten stays so
		{now + 9, now + 9, []delivery.StoredBytes{{Tenant: "a", Bytes: 4}}, []int64{4}},
		{now + 9, now + 9, nil, []int64{}},
	} {
		// What belongs to one partition is told together.
		for p := range f.store.Partitions() {
			var added []delivery.StoredBytes
			var want []int64
			for j, b := range step.added {
				if f.store.Partition(b.Tenant) == p {
					added, want = append(added, b), append(want, step.want[j])
				}
			}
			got, err := f.store.CountStored(f.Context(), added, step.slice, step.first)
			f.must(err)
			if !slices.Equal(got, want) {
				f.Errorf("step %d: %v gives %d, want %d", i, added, got, want)
			}
		}
	}
}

// testCountStoredTogether counts from several processes at the same time: nothing is lost.
func testCountStoredTogether(f *fixture) {
	const workers, times, tenants = 8, 20, 50
	now := f.thisHour()
	count := func(bytes int64) (all []int64) {
		for p := range f.store.Partitions() {
			var added []delivery.StoredBytes
			for i := range tenants {
				if name := "tenant-" + strconv.Itoa(i); f.store.Partition(name) == p {
					added = append(added, delivery.StoredBytes{Tenant: name, Bytes: bytes})
				}
			}
			totals, err := f.store.CountStored(f.Context(), added, now, now)
			f.must(err)
			all = append(all, totals...)
		}
		return all
	}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range times {
				count(3)
			}
		})
	}
	wg.Wait()
	for _, total := range count(0) {
		if total != 3*workers*times {
			f.Errorf("%d bytes are counted, want %d", total, 3*workers*times)
		}
	}
}
