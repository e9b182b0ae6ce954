//go:build chaos && linux

package chaos

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

var (
	soakTime = flag.Duration("soak", 3*time.Minute, "how long a soak lasts with each store")
	soakRate = flag.Float64("rate", 0, "deliveries a second in the soak; 0: 70 % of what is measured before")
)

const (
	soakShare = 0.7
	// measureTime is how long the capacity is measured.
	measureTime = 10 * time.Second
	// perCall is how many requests a call makes on average: the second webhook of a tenant
	// fails some of them.
	perCall = (1 + mostAtOnce) / 2.0 * (1 + 13./16 + 2./16*2 + 1./16*3)
	// An epoch is audited when two more have gone by.
	auditAfter = 2
	// sampleOf: the API and the log are asked about one in so many events.
	sampleOf = 100
)

// TestSoak lets Caddys work for a long time, with a fault each minute, and watches whether
// they and their store grow.
func TestSoak(t *testing.T) {
	t.Run("redis", func(t *testing.T) {
		soakWith(t, standalone("everysec"), []func(*stage){
			killCaddys(1), reload(2), disturb("SCRIPT FLUSH", "script", "flush"),
			disturb("CLIENT KILL", "client", "kill", "type", "normal", "skipme", "yes"), killRedis(1), hangRedis(3 * time.Second),
		})
	})
	t.Run("embedded", func(t *testing.T) {
		soakWith(t, embedded, []func(*stage){killCaddys(1), reload(2), fillDisk(2 * time.Second)})
	})
}

// soak is a stage whose events are in a ledger for each minute, called epoch, so that it
// needs no more memory the longer it takes.
type soak struct {
	*stage
	judge *judge

	mu      sync.Mutex
	ledgers map[uint32]*ledger
	newest  uint32
	arrived int64
}

func soakWith(t *testing.T, start func(*stage) []string, faults []func(*stage)) {
	t.Helper()
	s := &soak{stage: newStage(t), ledgers: make(map[uint32]*ledger)}
	s.judge = &judge{webhooks: s.webhooks, fanOut: fanOut}
	s.open()
	s.receiver = startReceiver(t, s.ledgerOf)
	s.startCaddys(start(s.stage))
	s.load(s.current, time.Millisecond)
	s.setRate()
	var samples []sample
	defer func() { printSamples(t, samples) }() // also of a soak that fails
	begin := time.Now()
	for minute := 1; time.Since(begin) < *soakTime; minute++ {
		s.ledger = s.open() // what served looks at
		faults[s.random.IntN(len(faults))](s.stage)
		time.Sleep(time.Until(begin.Add(time.Duration(minute) * time.Minute)))
		samples = append(samples, s.sample(time.Since(begin)))
		s.auditUpTo(s.newest - auditAfter)
	}
	s.emitters.end()
	s.settle()
	s.auditUpTo(s.newest)
	table.add(result{scenario: fmt.Sprintf("soak of %s", *soakTime), store: t.Name(), verdict: s.judge.verdict})
	checkFlat(t, samples)
	report(t, s.judge.wrong)
}

// open begins a new epoch.
func (s *soak) open() *ledger {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest++
	l := newLedger(s.newest)
	s.ledgers[s.newest] = l
	return l
}

func (s *soak) current() *ledger {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ledgers[s.newest]
}

// ledgerOf returns the ledger of an event, or nil if that was audited.
func (s *soak) ledgerOf(id uuid.UUID) *ledger {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arrived++
	return s.ledgers[epochOf(id)]
}

func (s *soak) arrivals() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.arrived
}

// setRate measures how much arrives, and slows the emitters down to a part of that.
func (s *soak) setRate() {
	rate := *soakRate
	if rate == 0 {
		time.Sleep(measureTime / 5)
		before := s.arrivals()
		time.Sleep(measureTime)
		rate = soakShare * float64(s.arrivals()-before) / measureTime.Seconds()
	}
	s.t.Logf("the load is %.0f deliveries a second", rate)
	s.emitters.pace.Store(int64(tenants * perCall / rate * float64(time.Second)))
}

// auditUpTo audits the ledgers of all epochs up to one, and closes them.
func (s *soak) auditUpTo(last uint32) {
	s.t.Helper()
	s.judge.faults = s.faults
	s.mu.Lock()
	var due []*ledger
	for epoch, l := range s.ledgers {
		if epoch <= last && last <= s.newest {
			due = append(due, l)
		}
	}
	s.mu.Unlock()
	for _, l := range due {
		s.auditLedger(l)
		s.mu.Lock()
		delete(s.ledgers, l.epoch)
		s.mu.Unlock()
	}
}

// auditLedger judges a sample of a ledger's events, and those that have not arrived.
func (s *soak) auditLedger(l *ledger) {
	s.t.Helper()
	l.mu.Lock()
	asked := make(map[uuid.UUID]*event)
	for id, e := range l.events {
		if int(id[7])%sampleOf == 0 || !e.everywhere() {
			asked[id] = e
		} else {
			s.judge.acknowledged++
		}
	}
	s.judge.wrong = append(s.judge.wrong, l.wrong...)
	l.mu.Unlock()
	for id, e := range asked {
		s.auditEvent(l, id, e)
	}
}

// auditEvent judges one event of a ledger.
func (s *soak) auditEvent(l *ledger, id uuid.UUID, e *event) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	tenant := tenantName(e.tenant)
	stored, err := awaitEnd(ctx, s.caddys[0].api, tenant, id)
	if err != nil {
		s.t.Errorf("event %s: %v", id, err)
		return
	}
	rows, err := readLog(ctx, s.caddys[0].api, tenant, "&event_id="+id.String())
	if err != nil {
		s.t.Errorf("the log of event %s: %v", id, err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.judge.event(id, e, stored, rows)
}

// everywhere reports whether an event was acknowledged once and has arrived at all webhooks.
func (e *event) everywhere() bool {
	if e.acknowledged.IsZero() || e.accepted > 1 {
		return false
	}
	for webhook := range fanOut {
		if len(e.at(webhook)) == 0 {
			return false
		}
	}
	return true
}

// checkFlat compares the last quarter of the samples with the second one.
func checkFlat(t *testing.T, samples []sample) {
	t.Helper()
	quarter := len(samples) / 4
	if quarter == 0 {
		return
	}
	for name, of := range map[string]func(sample) float64{
		"goroutines":  func(s sample) float64 { return s.goroutines },
		"descriptors": func(s sample) float64 { return s.descriptors },
	} {
		early, late := median(samples[quarter:2*quarter], of), median(samples[len(samples)-quarter:], of)
		if late > 1.5*early+20 {
			t.Errorf("the number of %s grew from %.0f to %.0f", name, early, late)
		}
	}
}

func median(samples []sample, of func(sample) float64) float64 {
	var values []float64
	for _, s := range samples {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
