package embedded

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// TestSpanReader looks for records in any order, and for some that are not there: it finds what find
// finds.
func TestSpanReader(t *testing.T) {
	s := open(t, t.TempDir())
	load := storetest.Load{Store: s}
	load.Begin(t)
	var ids []uuid.UUID
	var tenant uint32
	for range 20 {
		call := load.Call(1+rand.IntN(60), false)
		if r := s.Accept(t.Context(), delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Retention: time.Hour}); r[0].Err != nil {
			t.Fatal(r[0].Err)
		}
		tenant = s.state.tenants[call.Tenant].number
		for i := range call.Events {
			ids = append(ids, call.Events[i].ID)
		}
	}
	for range 100 {
		ids = append(ids, delivery.NewID(s.Now()), uuid.New())
	}
	if err := s.read(func(tx *view) error {
		for name, order := range map[string]func(i int) int{
			"forwards": func(i int) int { return i }, "backwards": func(i int) int { return len(ids) - 1 - i }, "random": func(int) int { return rand.IntN(len(ids)) },
		} {
			reader := spanReader{packing: &packedIDs, bucket: tx.bucket(idsBucket)}
			found := 0
			for i := range ids {
				id := ids[order(i)]
				got, ok := findEventIn(&reader, tenant, id)
				want, there := findEvent(reader.bucket, tenant, id)
				if ok != there || !bytes.Equal(got, want) {
					t.Errorf("%s: %s is event %x, %v; want %x, %v", name, id, got, ok, want, there)
				}
				if ok {
					found++
				}
			}
			if found < len(ids)/4 {
				t.Errorf("%s: %d were found", name, found)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
