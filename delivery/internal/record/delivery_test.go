package record

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// TestDeliveryRecord fixes the 27 bytes of a delivery: files and keys of both stores are full
// of them, and scripts in Redis read them.
func TestDeliveryRecord(t *testing.T) {
	t.Parallel()
	last := uuid.UUID{0: 0xAA, 15: 0xBB}
	at := time.UnixMilli(0x0102030405).UTC()
	stored := delivery.StoredDelivery{
		Webhook: uuid.New(), Status: delivery.DeliveryFailed, Attempts: 0x0203, RetryAt: at, LastRequest: last,
	}
	want := append([]byte{'f', 2, 3, 0, 0, 0, 1, 2, 3, 4, 5}, last[:]...)
	b := AppendStoredDelivery(nil, &stored)
	if !bytes.Equal(b, want) || len(b) != DeliverySize {
		t.Fatalf("% x, want % x", b, want)
	}
	d, err := DecodeDelivery(b)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := d.Stored(stored.Webhook); err != nil || !reflect.DeepEqual(again, stored) {
		t.Errorf("read as %+v, %v, want %+v", again, err, stored)
	}
	if again := AppendDelivery(nil, &d); !bytes.Equal(again, b) {
		t.Errorf("written again as % x, want % x", again, b)
	}
	if _, err := DecodeDelivery(b[:DeliverySize-1]); !errors.Is(err, ErrUnreadable) {
		t.Errorf("a record that is too short: %v", err)
	}
	d.Order, d.Place = delivery.OrderKey{0: 1, 15: 2}, 0x0304
	ordered := AppendDelivery(nil, &d)
	if want := append(slices.Clone(b), 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 3, 4); !bytes.Equal(ordered, want) {
		t.Errorf("with an order key % x, want % x", ordered, want)
	}
	if again, err := DecodeDelivery(ordered); err != nil || again != d {
		t.Errorf("read with an order key as %+v, %v, want %+v", again, err, d)
	}
	d.Status = 'x'
	if _, err := d.Stored(uuid.Nil); !errors.Is(err, ErrUnreadable) {
		t.Errorf("a status that there is not: %v", err)
	}
}

// TestDescribedDelivery checks which next attempt of a delivery is shown.
func TestDescribedDelivery(t *testing.T) {
	t.Parallel()
	e := &delivery.Event{ReceivedAt: time.UnixMilli(1000).UTC()}
	retry := time.UnixMilli(2000).UTC()
	none := AppendDelivery(nil, &Delivery{Status: Pending})[:0] // before its first request
	for name, c := range map[string]struct {
		record []byte
		test   bool
		want   delivery.Delivery
	}{
		"not tried":   {none, false, delivery.Delivery{Status: delivery.DeliveryPending, NextAttemptAt: e.ReceivedAt}},
		"test":        {none, true, delivery.Delivery{Status: delivery.DeliveryPending}},
		"tried again": {AppendDelivery(nil, &Delivery{Status: Pending, Attempts: 1, RetryAt: 2000}), false, delivery.Delivery{Status: delivery.DeliveryPending, Attempts: 1, NextAttemptAt: retry}},
		"ended":       {AppendDelivery(nil, &Delivery{Status: Success, Attempts: 2, RetryAt: 2000}), false, delivery.Delivery{Status: delivery.DeliverySuccess, Attempts: 2}},
	} {
		d, err := DecodeDelivery(c.record)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Of(e, c.test, uuid.Nil); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestPeriods checks the numbers of hours and slices, by which counters are found.
func TestPeriods(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 10, 59, 59, 0, time.UTC)
	if got := HourTime(Hour(at)); !got.Equal(at.Truncate(time.Hour)) {
		t.Errorf("the hour of %v begins at %v", at, got)
	}
	if got := SliceTime(Slice(at)); !got.Equal(at.Truncate(delivery.StatsSlice)) {
		t.Errorf("the slice of %v begins at %v", at, got)
	}
	if before := time.Unix(-4000, 0); Hour(before) != 0 || Slice(before) != 0 {
		t.Errorf("%v is in hour %d and slice %d", before, Hour(before), Slice(before))
	}
}
