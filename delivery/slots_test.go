package delivery

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

// fill takes all places that a webhook can have, and starts the sends that have a slot.
func fill(s *slots, ref WebhookRef, now time.Time) (begun []*sending) {
	for s.reserve(ref, 0, 0) {
		s.enqueue(&sending{Job: Job{Webhook: &Webhook{Tenant: ref.Tenant, ID: ref.ID}, Event: &Event{}}})
		if w := s.start(s.lane(ref), now); w != nil {
			begun = append(begun, w)
		}
	}
	return begun
}

// Lower limits, which a reload may bring, end nothing. Nothing new starts before there is
// room again.
func TestSlotsWithLowerLimits(t *testing.T) {
	ref, other, now := WebhookRef{"t", uuid.UUID{1}}, WebhookRef{"t", uuid.UUID{2}}, time.Unix(0, 0)
	s := newSlots(8, 4)
	sends := fill(s, ref, now)
	if len(sends) != 4 {
		t.Fatalf("%d have started, want 4", len(sends))
	}
	s.setLimits(2, 1)
	for _, w := range sends {
		if s.reserve(ref, 0, 0) || s.inFlight > 2 && s.reserve(other, 0, 0) {
			t.Fatalf("there is a place although %d are in flight, of 2", s.inFlight)
		}
		s.finish(w, false, now.Add(slowAfter))
		if s.slowFree() < 0 {
			t.Fatalf("%d slots are free for the slow", s.slowFree())
		}
	}
}

// A webhook begins with a few requests. Each success while its window is in use lets one
// more in, up to the limit.
func TestWindowGrows(t *testing.T) {
	ref, now := WebhookRef{"t", uuid.UUID{1}}, time.Unix(0, 0)
	s := newSlots(64, 8)
	var sends []*sending
	for _, want := range []int{4, 5, 6, 7, 8, 8, 8} {
		if l := s.lane(ref); l != nil {
			for w := s.start(l, now); w != nil; w = s.start(l, now) {
				sends = append(sends, w)
			}
		}
		if sends = append(sends, fill(s, ref, now)...); len(sends) != want {
			t.Fatalf("%d in flight, not %d", len(sends), want)
		}
		s.finish(sends[0], true, now)
		sends = sends[1:]
	}
	for len(sends) > 1 {
		s.finish(sends[0], false, now)
		sends = sends[1:]
	}
	if l := s.lane(ref); s.limit(l) != 8 {
		t.Errorf("failures have shrunk the window to %d", s.limit(l))
	}
}

// As many deliveries are leased ahead of a webhook's slots as it is sent in a moment:
// many if it answers quickly, none if it takes long or has not answered yet.
func TestQueueGoesByThePace(t *testing.T) {
	for _, test := range []struct {
		took time.Duration
		want int
	}{
		{time.Millisecond, 8 * 200},
		{10 * time.Millisecond, 8 * 20},
		{100 * time.Millisecond, 8 * 2},
		{2 * time.Second, 0},
	} {
		ref, now := WebhookRef{"t", uuid.UUID{1}}, time.Unix(0, 0)
		s := newSlots(1024, 8)
		sends := fill(s, ref, now)
		l := s.lane(ref)
		if len(sends) != firstWindow || len(l.waiting) != 0 {
			t.Fatalf("%d have started and %d wait before the webhook has answered any", len(sends), len(l.waiting))
		}
		l.window = 9
		s.finish(sends[0], false, now.Add(test.took))
		fill(s, ref, now)
		if l.inFlight != 8 || len(l.waiting) != test.want {
			t.Errorf("%d wait for a webhook that takes %s, not %d", len(l.waiting), test.took, test.want)
		}
	}
}

// While all slots are taken nothing is leased ahead: webhooks that have slots would keep
// them from the others.
func TestNoQueueWithoutFreeSlots(t *testing.T) {
	ref, other, now := WebhookRef{"t", uuid.UUID{1}}, WebhookRef{"t", uuid.UUID{2}}, time.Unix(0, 0)
	s := newSlots(8, 4)
	w := fill(s, ref, now)
	s.finish(w[0], true, now.Add(time.Millisecond))
	fill(s, other, now)
	fill(s, ref, now)
	if s.free() != 0 {
		t.Fatalf("%d slots are free", s.free())
	}
	before := s.over
	if s.reserve(ref, 0, 0) || s.over != before {
		t.Error("a delivery was leased ahead although all slots are taken")
	}
}

// A webhook gets fewer slots while its requests take far longer than they need to: they
// only wait for each other.
func TestCrowdedWindowShrinks(t *testing.T) {
	ref, now := WebhookRef{"t", uuid.UUID{1}}, time.Unix(0, 0)
	s := newSlots(33, 32)
	l := s.open(ref)
	s.hold(l, 0) // keeps the lane when nothing is in flight
	round := func(took time.Duration) (window int) {
		var sends []*sending
		for w := s.start(l, now); w != nil; w = s.start(l, now) {
			sends = append(sends, w)
		}
		sends = append(sends, fill(s, ref, now)...)
		now = now.Add(took)
		for _, w := range sends {
			s.finish(w, true, now)
		}
		return l.window
	}
	var widest int
	for range 20 {
		widest = round(time.Millisecond)
	}
	if widest != 32 {
		t.Fatalf("the window grew to %d while requests took a millisecond", widest)
	}
	for range 10 {
		round(50 * time.Millisecond)
	}
	if l.window > 10 {
		t.Errorf("the window is %d while requests take fifty times as long", l.window)
	}
	for range int(3 * paceTime / (50 * time.Millisecond)) {
		widest = round(50 * time.Millisecond)
	}
	if widest < 16 {
		t.Errorf("the window is %d although requests have taken that long for a while", widest)
	}
}

// One request that hangs makes its webhook slow. It gets one request at a time until a
// success, and nothing waits for it in this process.
func TestSlowLaneGoesOneAtATime(t *testing.T) {
	ref, other, began := WebhookRef{"t", uuid.UUID{1}}, WebhookRef{"t", uuid.UUID{2}}, time.Unix(0, 0)
	s := newSlots(16, 8)
	sends := fill(s, ref, began)
	s.finish(sends[0], true, began.Add(time.Millisecond))
	sends = append(sends[1:], fill(s, ref, began)...)
	l := s.lane(ref)
	waiting := len(l.waiting)
	if waiting == 0 {
		t.Fatal("nothing waits")
	}
	if _, next := s.age(began.Add(slowAfter - 1)); !next.Equal(began.Add(slowAfter)) || l.slow {
		t.Fatalf("the webhook is slow after %s already, or turns slow at %s", slowAfter-1, next)
	}
	waited, next := s.age(began.Add(slowAfter))
	if !next.IsZero() || !l.slow || len(waited) != waiting || len(l.waiting) != 0 {
		t.Fatalf("after %s slow is %t, and %d of %d gave up their places", slowAfter, l.slow, len(waited), waiting)
	}
	if s.reserve(ref, 0, 0) {
		t.Error("a slow webhook has a second request")
	}
	if !s.reserve(other, 0, 0) {
		t.Error("another webhook was held up")
	}
	if p := s.promise(0, true, new(turns)); p.Webhooks[ref] != 0 || p.Webhooks[other] != half(firstWindow-1) {
		t.Errorf("the claim is promised %+v", p)
	} else {
		s.takeBack(p)
	}
	for len(sends) > 1 {
		s.finish(sends[0], false, began.Add(slowAfter))
		sends = sends[1:]
	}
	if s.reserve(ref, 0, 0) {
		t.Error("a slow webhook has a second request after failures")
	}
	s.finish(sends[0], true, began.Add(slowAfter))
	for range 2 {
		if !s.reserve(ref, 0, 0) {
			t.Error("the webhook is still slow after a success")
		}
	}
}

// However many slow deliveries are due, half of the slots stay for the others.
func TestSlowShareHalfOfTheSlots(t *testing.T) {
	s := newSlots(16, 8)
	webhook := byte(0)
	for range 20 { // none has started when the next is claimed
		p := s.promise(0, true, new(turns))
		s.takeBack(p)
		for range p.Slow {
			webhook++
			if !s.admit(WebhookRef{"t", uuid.UUID{webhook}}, 0, true, 0) {
				t.Fatalf("a delivery was turned away with %d slots free", s.free())
			}
		}
	}
	if s.slow != 8 {
		t.Errorf("the slow have %d of 16 slots", s.slow)
	}
	if p := s.promise(0, true, new(turns)); p.Fast != 4 || p.Slow != 0 {
		t.Errorf("the claim is promised %+v", p)
	}
}
