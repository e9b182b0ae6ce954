package api

import (
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// deadlines is a response whose connection has deadlines for reading.
type deadlines struct {
	*httptest.ResponseRecorder
	ended chan time.Time // when reading was ended
}

func (d *deadlines) SetReadDeadline(time.Time) error {
	d.ended <- time.Now()
	return nil
}

// TestArrival has bodies that never arrive, of any length: each has its time, and no more.
func TestArrival(t *testing.T) {
	for bytes, want := range map[int64]time.Duration{
		-1: 30 * time.Second, 0: 30 * time.Second, 256 << 10: 31 * time.Second,
		15 << 20: 90 * time.Second, MaxArraySize: 94 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &deadlines{httptest.NewRecorder(), make(chan time.Time, 1)}
			began := time.Now()
			var a arrival
			a.begin(w, NewIntake().Patience, bytes)
			if got := (<-w.ended).Sub(began); got != want {
				t.Errorf("%d bytes have %s, want %s", bytes, got, want)
			}
			if late, again := a.end(); !late || again {
				t.Errorf("%d bytes: late is %t, and again %t", bytes, late, again)
			}
			// One that says nothing of its length has a time for each step that it grows by.
			began = time.Now()
			a = arrival{}
			a.begin(w, NewIntake().Patience, -1)
			time.Sleep(10 * time.Second)
			a.grow(max(0, bytes))
			if got := (<-w.ended).Sub(began); got != want {
				t.Errorf("%d bytes that were not announced have %s, want %s", bytes, got, want)
			}
		})
	}
}
