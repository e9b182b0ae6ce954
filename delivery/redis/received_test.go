package redis

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

const receivedFor = 2 * time.Hour

// markReceived marks a message that a guard has received, in the tenant's partition.
func markReceived(t *testing.T, s *Store) delivery.ReceivedMark {
	t.Helper()
	mark := delivery.ReceivedMark{Guards: []delivery.Guard{{1}}, Token: uuid.New(), As: delivery.Received, For: receivedFor}
	for mark.Message = uuid.New(); partitionOf(uuidHex(mark.Message), s.Partitions()) != s.Partition(testTenant); {
		mark.Message = uuid.New()
	}
	if err := s.MarkReceived(t.Context(), &mark); err != nil {
		t.Fatal(err)
	}
	return mark
}

func uuidHex(id uuid.UUID) string { return strings.ReplaceAll(id.String(), "-", "") }

// TestReceivedElsewhere marks a message in one process: another one knows it, also while it is
// being received, until the key is broken, which is set aside.
func TestReceivedElsewhere(t *testing.T) {
	o := options()
	o.Partitions = 3
	here, there := open(t, o), open(t, o)
	mark := markReceived(t, here)
	want := func(s *Store, as delivery.ReceivedAs, want error) {
		t.Helper()
		again := mark
		again.Token, again.As = uuid.New(), as
		if err := s.MarkReceived(t.Context(), &again); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	want(there, delivery.Receiving, delivery.ErrReceived)
	mark.Message = uuid.New()
	want(here, delivery.Receiving, nil)
	want(there, delivery.Receiving, delivery.ErrReceiving)

	message := uuidHex(mark.Message)
	key := here.keys.base(partitionOf(message, 3)) + "received:" + message + ":0100000000000000"
	if err := here.client().Del(t.Context(), key).Err(); err != nil {
		t.Fatal(err)
	}
	if err := here.client().HSet(t.Context(), key, "a", "b").Err(); err != nil {
		t.Fatal(err)
	}
	want(here, delivery.Receiving, nil)
	want(there, delivery.Receiving, delivery.ErrReceiving)
	if n := here.SetAside(); n != 1 {
		t.Errorf("%d keys were set aside", n)
	}
}

// TestReceivedFull has a full Redis: what cannot be marked must not be received.
func TestReceivedFull(t *testing.T) {
	s := open(t, Options{Addresses: []string{redistest.Start(t, "--maxmemory-policy", "noeviction").Addr}, KeyPrefix: "full"})
	if err := s.client().ConfigSet(t.Context(), "maxmemory", "1mb").Err(); err != nil {
		t.Fatal(err)
	}
	mark := delivery.ReceivedMark{Message: uuid.New(), Guards: []delivery.Guard{{1}}, Token: uuid.New(), As: delivery.Receiving, For: time.Hour}
	if err := s.MarkReceived(t.Context(), &mark); !errors.Is(err, delivery.ErrFull) {
		t.Errorf("%v, want ErrFull", err)
	}
}

// BenchmarkReceived receives messages: see storetest.Received.
func BenchmarkReceived(b *testing.B) { storetest.Received(b, open(b, options())) }
