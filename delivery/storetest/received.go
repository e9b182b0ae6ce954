package storetest

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// message makes a mark of a message that nobody has marked, and that lasts for the test.
func message(guards ...delivery.Guard) delivery.ReceivedMark {
	if len(guards) == 0 {
		guards = []delivery.Guard{{1}}
	}
	return delivery.ReceivedMark{Message: uuid.New(), Guards: guards, Token: uuid.New(), For: time.Hour}
}

// mark marks a message, and checks what comes of that.
func (f *fixture) mark(m delivery.ReceivedMark, as delivery.ReceivedAs, want error) {
	f.Helper()
	m.As = as
	if err := f.store.MarkReceived(f.Context(), &m); !errors.Is(err, want) {
		f.Errorf("marking as %d: %v, want %v", as, err, want)
	}
}

// anew is the same message, sent again.
func anew(m delivery.ReceivedMark) delivery.ReceivedMark {
	m.Token = uuid.New()
	return m
}

// testReceived marks messages from their beginning to their end.
func testReceived(f *fixture) {
	m := message()
	f.mark(m, delivery.Receiving, nil)
	f.mark(m, delivery.Receiving, nil) // as after an answer that was lost
	f.mark(anew(m), delivery.Receiving, delivery.ErrReceiving)
	f.mark(anew(m), delivery.NotReceived, nil) // which is not theirs to say
	f.mark(anew(m), delivery.Receiving, delivery.ErrReceiving)
	f.mark(m, delivery.NotReceived, nil)
	f.mark(m, delivery.NotReceived, nil)

	m = anew(m)
	f.mark(m, delivery.Receiving, nil)
	f.mark(m, delivery.Received, nil)
	f.mark(m, delivery.Received, nil)
	f.mark(m, delivery.NotReceived, nil)
	f.mark(m, delivery.Receiving, delivery.ErrReceived)
	f.mark(anew(m), delivery.Receiving, delivery.ErrReceived)
	f.mark(message(), delivery.Receiving, nil)
}

// testReceivedEnds has marks end: whoever receives a message for longer than it said has still
// received it.
func testReceivedEnds(f *fixture) {
	m := message()
	m.For = time.Millisecond
	f.mark(m, delivery.Receiving, nil)
	other := anew(m)
	f.eventually("the message is not being received any more", func() bool {
		other.As = delivery.Receiving
		err := f.store.MarkReceived(f.Context(), &other)
		if err != nil && !errors.Is(err, delivery.ErrReceiving) {
			f.Fatal(err)
		}
		return err == nil
	})
	m.For = time.Hour
	f.mark(m, delivery.Received, nil)
	other.For = time.Millisecond
	f.mark(other, delivery.Received, nil) // which does not shorten the other
	time.Sleep(5 * time.Millisecond)
	f.mark(anew(m), delivery.Receiving, delivery.ErrReceived)

	short := message()
	short.For = time.Millisecond
	f.mark(short, delivery.Received, nil)
	f.eventually("the message is forgotten", func() bool {
		again := anew(short)
		again.As = delivery.Receiving
		return f.store.MarkReceived(f.Context(), &again) == nil
	})
	f.sweep(24 * time.Hour)
	f.mark(anew(m), delivery.Receiving, delivery.ErrReceived)
}

// testReceivedGuards marks a message for several guards, as while a secret is replaced: for
// whoever has one in common it is the same message.
func testReceivedGuards(f *fixture) {
	before, now, other := delivery.Guard{1}, delivery.Guard{2}, delivery.Guard{1, 2}
	m := message(before)
	f.mark(m, delivery.Receiving, nil)
	with := func(guards ...delivery.Guard) delivery.ReceivedMark {
		again := anew(m)
		again.Guards = slices.Clone(guards)
		return again
	}
	f.mark(with(now, before), delivery.Receiving, delivery.ErrReceiving)
	f.mark(with(now), delivery.Receiving, nil) // nothing is marked by what was refused
	f.mark(m, delivery.Received, nil)
	f.mark(with(now, before), delivery.Receiving, delivery.ErrReceived) // rather than ErrReceiving
	f.mark(with(before, now), delivery.Receiving, delivery.ErrReceived)
	f.mark(with(other), delivery.Receiving, nil)

	m = message(now, before)
	f.mark(m, delivery.Receiving, nil)
	f.mark(m, delivery.Received, nil)
	f.mark(with(now), delivery.Receiving, delivery.ErrReceived)
	f.mark(with(before), delivery.Receiving, delivery.ErrReceived)
	f.mark(with(other), delivery.Receiving, nil)
}

// testReceivedOnce receives messages many times at once: each is received once.
func testReceivedOnce(f *fixture) {
	const messages, senders = 20, 8
	var wg sync.WaitGroup
	for range messages {
		m := message(delivery.Guard{1}, delivery.Guard{2})
		var received, refused atomic.Int64
		for range senders {
			wg.Go(func() {
				mine := anew(m)
				mine.As = delivery.Receiving
				switch err := f.store.MarkReceived(f.Context(), &mine); {
				case err == nil:
					received.Add(1)
					mine.As = delivery.Received
					if err := f.store.MarkReceived(f.Context(), &mine); err != nil {
						f.Error(err)
					}
				case errors.Is(err, delivery.ErrReceiving), errors.Is(err, delivery.ErrReceived):
					refused.Add(1)
				default:
					f.Error(err)
				}
			})
		}
		wg.Wait()
		if received.Load() != 1 || refused.Load() != senders-1 {
			f.Errorf("of %d, %d were received and %d refused", senders, received.Load(), refused.Load())
		}
	}
}
