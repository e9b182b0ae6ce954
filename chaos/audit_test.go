package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
)

// auditors is how many events are asked for at the same time.
const auditors = 8

// errNotEnded: some delivery of an event is still pending.
var errNotEnded = errors.New("a delivery has not ended")

// settle waits until nothing is pending any more. The audit finds what is left.
func (s *stage) settle() {
	s.t.Helper()
	var left float64
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var err error
		if left, err = s.caddys[0].metric(s.t.Context(), "caddy_webhooks_deliveries_pending"); err == nil && left == 0 {
			return
		}
	}
	s.t.Logf("%v deliveries are still pending", left)
}

// audit lets a judge judge all events. All faults are over, so that the API answers.
func (s *stage) audit(j *judge) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	rows := make(map[uuid.UUID][]row)
	stored := s.storedEvents(ctx)
	for tenant := range tenants {
		all, err := readLog(ctx, s.caddys[0].api, tenantName(tenant), "")
		s.must(err)
		for i := range all {
			rows[all[i].EventID] = append(rows[all[i].EventID], all[i])
		}
	}
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	j.wrong = append(j.wrong, s.ledger.wrong...)
	for id, e := range s.ledger.events {
		j.event(id, e, stored[id], rows[id])
	}
}

// storedEvents reads what the API says of each event, once all its deliveries have ended.
func (s *stage) storedEvents(ctx context.Context) map[uuid.UUID]*storedEvent {
	s.t.Helper()
	tenantOf := make(map[uuid.UUID]int)
	s.ledger.mu.Lock()
	for id, e := range s.ledger.events {
		tenantOf[id] = e.tenant
	}
	s.ledger.mu.Unlock()
	var (
		mu     sync.Mutex
		stored = make(map[uuid.UUID]*storedEvent)
		asking sync.WaitGroup
		ids    = make(chan uuid.UUID)
	)
	for range auditors {
		asking.Go(func() {
			for id := range ids {
				e, err := awaitEnd(ctx, s.caddys[0].api, tenantName(tenantOf[id]), id)
				if err != nil && !errors.Is(err, errNotEnded) {
					s.t.Errorf("event %s: %v", id, err)
				}
				mu.Lock()
				stored[id] = e
				mu.Unlock()
			}
		})
	}
	for id := range tenantOf {
		ids <- id
	}
	close(ids)
	asking.Wait()
	return stored
}

// awaitEnd reads an event, again and again until all its deliveries have ended or ctx is
// done. It returns nil if there is no such event.
func awaitEnd(ctx context.Context, api, tenant string, id uuid.UUID) (*storedEvent, error) {
	for {
		e, err := readEvent(ctx, api, tenant, id)
		if err != nil || e == nil || allEnded(e) {
			return e, err
		}
		select {
		case <-ctx.Done():
			return e, errNotEnded
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func readEvent(ctx context.Context, api, tenant string, id uuid.UUID) (*storedEvent, error) {
	r, err := do(ctx, http.MethodGet, fmt.Sprintf("%s/events/%s", api, id), tenant, nil)
	if err != nil {
		return nil, err
	}
	if r.status == http.StatusNotFound {
		return nil, nil
	}
	e := new(storedEvent)
	return e, r.want(http.StatusOK, e)
}

func allEnded(e *storedEvent) bool {
	for _, d := range e.Deliveries {
		if !ended(d) {
			return false
		}
	}
	return true
}
