package embedded

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// TestChosenIDs accepts events whose ids emitters chose such that all have the same beginning:
// each has an entry of its own, which the look-up of another one does not read.
func TestChosenIDs(t *testing.T) {
	s := open(t, t.TempDir())
	load := storetest.Load{Store: s}
	load.Begin(t)
	made := load.Call(100, false)
	chosen := made
	chosen.Events = nil
	for i, e := range made.Events {
		e.ID, e.New, e.Targets = uuid.UUID{6: 0x40, 8: 0x80}, false, nil
		binary.BigEndian.PutUint32(e.ID[12:], uint32(i))
		chosen.Events = append(chosen.Events, e)
		made.Events[i].New, made.Events[i].Targets = true, nil
	}
	chosen.Nonce = uuid.New()
	for _, call := range []delivery.AcceptCall{made, chosen} {
		if r := s.Accept(t.Context(), delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Retention: time.Hour}); r[0].Err != nil {
			t.Fatal(r[0].Err)
		}
	}
	checkpoint(t, s)
	if err := s.read(func(v *view) error {
		singles, made := 0, 0
		c := v.bucket(idsBucket).cursor()
		for k, value := c.First(); k != nil; k, value = c.Next() {
			switch {
			case isMade(k):
				made++
			case len(value) == packedIDs.value:
				singles++
			}
		}
		if singles != 100 || made > 50 {
			t.Errorf("%d ids have an entry of their own; the others have %d entries", singles, made)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, call := range []delivery.AcceptCall{made, chosen} {
		for i, e := range acceptAgain(t, s, call, uuid.New(), time.Hour) {
			if !e.Duplicate {
				t.Errorf("event %d is no duplicate: %+v", i, e)
			}
		}
	}
}
