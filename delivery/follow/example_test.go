package follow_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/follow"
)

// table is a store's log of requests.
type table struct {
	mu   sync.Mutex
	rows map[uuid.UUID]delivery.Request
}

func (t *table) insert(r delivery.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows[r.ID] = r
}

func (t *table) read(_ context.Context, tenant string, ids []uuid.UUID) (rows []delivery.Request, _ error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range ids {
		if r, ok := t.rows[id]; ok && r.Tenant == tenant {
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// A store that is used by only one process keeps its record in a Ring, and has a Hub on it.
func Example() {
	log := &table{rows: make(map[uuid.UUID]delivery.Request)}
	ring := follow.NewRing(log.read)
	hub := follow.NewHub(ring)
	defer hub.Wait() // in the store's Close
	defer hub.Stop()

	// The store's Follow is the hub's.
	ctx := context.Background()
	follower, err := hub.Follow(ctx, "acme", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer follower.Close()

	// The store's Complete adds what it wrote to the ring, once it is written.
	for _, status := range []delivery.RequestStatus{delivery.RequestFailed, delivery.RequestSuccess} {
		r := delivery.Request{Tenant: "acme", ID: delivery.NewID(time.Now()), Status: status}
		log.insert(r)
		ring.Add(follow.Item{Tenant: r.Tenant, ID: r.ID})
	}

	for seen := 0; seen < 2; {
		written, err := follower.Next(ctx) // both at once, or one after the other
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, r := range written {
			fmt.Println(r.Status)
			seen++
		}
	}
	// Output:
	// failed
	// success
}
