package delivery

import (
	"context"
	"math"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// storedEvery is how often a store is told what tenants have stored, and says what they
	// have by all processes.
	storedEvery = 5 * time.Second
	// storedPerCall is how many tenants one call of the store is about.
	storedPerCall = 50
	// storedSlices is how many slices of time the retention has, about.
	storedSlices = 100
	// What is counted of an event beside its payload, and of a request beside its texts: about
	// what stores need for either, with its places in their indexes.
	eventOverhead, requestOverhead = 300, 400
)

// StoredBytes is how many bytes of events and requests a tenant has stored.
type StoredBytes struct {
	Tenant string
	Bytes  int64
}

// storedBytes knows what the tenants of a partition have stored, to some seconds.
type storedBytes struct {
	mu      sync.Mutex
	tenants map[string]*tenantStored // that have stored something lately, or were asked for
}

type tenantStored struct {
	known int64 // as the store said, and what it is being told
	added int64 // since then
	asked bool  // for it, since then
}

// add counts bytes that were stored.
func (s *storedBytes) add(tenant string, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at(tenant).added += bytes
}

// at is what is known of a tenant. The caller holds s.mu.
func (s *storedBytes) at(tenant string) *tenantStored {
	t := s.tenants[tenant]
	if t == nil {
		if s.tenants == nil {
			s.tenants = make(map[string]*tenantStored)
		}
		t = new(tenantStored)
		s.tenants[tenant] = t
	}
	return t
}

// of is how much the tenant has stored; false if the store must be asked.
func (s *storedBytes) of(tenant string) (bytes int64, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenants[tenant]
	if t == nil {
		return 0, false
	}
	t.asked = true
	return t.known + t.added, true
}

// take returns what the store is to be told. It forgets tenants of which nobody wants to know.
func (s *storedBytes) take() (all []StoredBytes) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for tenant, t := range s.tenants {
		if t.added == 0 && !t.asked {
			delete(s.tenants, tenant)
			continue
		}
		all = append(all, StoredBytes{tenant, t.added})
		t.known, t.added, t.asked = t.known+t.added, 0, false
	}
	return all
}

// told notes what the store has said, or that it must be told again.
func (s *storedBytes) told(some []StoredBytes, totals []int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, b := range some {
		t := s.at(b.Tenant)
		if err == nil {
			t.known = totals[i]
		} else {
			t.known, t.added, t.asked = t.known-b.Bytes, t.added+b.Bytes, true
		}
	}
}

// forget forgets all.
func (s *storedBytes) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tenants = nil
}

// storedSlice is the slice of time in which bytes are counted that are stored now, the first one
// that counts, and the next one, all in hours since 1970. The first one has an end that is not
// older than the retention.
func storedSlice(now time.Time, retention time.Duration) (slice, first, next int64) {
	hour, kept := now.Unix()/3600, int64(math.Ceil(retention.Hours()))
	length := max(1, kept/storedSlices)
	slice = hour - hour%length
	return slice, hour - kept - length + 1, slice + length
}

// Stored is how many bytes of events and requests a tenant has stored, by all processes, to some
// seconds: those of the retention, and some that are older. It is counted while
// Settings.CountStored is set. Until the time that it returns, none of them become too old. The
// store is asked only if nobody has asked lately.
func (e *Engine) Stored(ctx context.Context, tenant string) (bytes int64, until time.Time, err error) {
	if err := e.ready(ctx); err != nil {
		return 0, until, err
	}
	s := e.settings()
	if !s.CountStored {
		return 0, until, nil
	}
	p := e.at(tenant)
	slice, first, next := storedSlice(e.store.Now(), s.Retention)
	bytes, known := p.stored.of(tenant)
	if !known {
		of := []StoredBytes{{Tenant: tenant}}
		totals, err := e.store.CountStored(ctx, of, slice, first)
		if err != nil {
			return 0, until, nothingWritten(err)
		}
		p.stored.told(of, totals, nil)
		bytes, _ = p.stored.of(tenant)
	}
	return bytes, time.Unix(next*3600, 0), nil
}

// countStored tells the store again and again what tenants of a partition have stored.
func (e *Engine) countStored(ctx context.Context, p *partition) {
	ticker := time.NewTicker(storedEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			e.tellStored(ctx, p)
		}
	}
}

// tellStored tells the store what tenants of a partition have stored. What it may have counted
// already, it is told again: then it counts too much.
func (e *Engine) tellStored(ctx context.Context, p *partition) {
	s := e.settings()
	if !s.CountStored {
		p.stored.forget()
		return
	}
	slice, first, _ := storedSlice(e.store.Now(), s.Retention)
	all := p.stored.take()
	for len(all) > 0 {
		some := all[:min(len(all), storedPerCall)]
		all = all[len(some):]
		call, cancel := context.WithTimeout(ctx, storedEvery)
		totals, err := e.store.CountStored(call, some, slice, first)
		cancel()
		if p.stored.told(some, totals, err); err != nil {
			e.log().Debug("cannot count what tenants have stored; will try again", zap.Error(err))
		}
	}
}

// countEvents counts events that were accepted.
func (e *Engine) countEvents(call *AcceptCall, result *Accepted) {
	if !e.settings().CountStored {
		return
	}
	bytes := 0
	for i := range call.Events {
		if !result.Events[i].Duplicate {
			bytes += len(call.Events[i].Payload) + eventOverhead
		}
	}
	e.at(call.Tenant).stored.add(call.Tenant, int64(bytes))
}

// countRequests counts requests whose rows were written.
func (e *Engine) countRequests(p *partition, batch []*finished) {
	if !e.settings().CountStored {
		return
	}
	for _, f := range batch {
		r := &f.outcome.Request
		p.stored.add(r.Tenant, int64(len(r.URL)+len(r.Error)+len(r.ResponseBody)+requestOverhead))
	}
}
