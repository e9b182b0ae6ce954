package embedded

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// machine is a machine with a store, whose clock can be set.
type machine struct {
	*Store
	t      *testing.T
	folder string
	said   *observer.ObservedLogs

	mu      sync.Mutex
	wall    time.Time
	running time.Duration
}

// newMachine makes a machine with a store that has one webhook.
func newMachine(t *testing.T) (*machine, *storetest.Load) {
	t.Helper()
	m := &machine{t: t, folder: t.TempDir(), wall: time.Now().Round(0)}
	m.start()
	load := &storetest.Load{Store: m.Store}
	load.Begin(t)
	return m, load
}

// start opens the store as a new process would.
func (m *machine) start() {
	m.t.Helper()
	core, said := observer.New(zapcore.DebugLevel)
	m.Store, m.said = New(m.folder, WithLogger(zap.New(core))), said
	m.clock.read = func() (time.Time, time.Duration) {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.wall, m.running
	}
	opened(m.t, m.Store)
}

// pass lets time pass.
func (m *machine) pass(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wall, m.running = m.wall.Add(d), m.running+d
}

// set sets the clock.
func (m *machine) set(by time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wall = m.wall.Add(by)
}

// failed accepts an event whose first attempt fails, and is retried after a while.
func (m *machine) failed(load *storetest.Load, again time.Duration) delivery.Request {
	m.t.Helper()
	calls, accepted := load.Accept(m.t, 1, true)
	o := outcome(m.Store, &calls[0], &accepted[0])
	o.Request.Status, o.RetryAt = delivery.RequestFailed, m.Now().Add(again)
	if err := errors.Join(m.Complete(m.t.Context(), []delivery.Outcome{o})...); err != nil {
		m.t.Fatal(err)
	}
	return o.Request
}

// wantDue claims what is due, and checks how many deliveries that is.
func (m *machine) wantDue(when string, n int) {
	m.t.Helper()
	claimed, err := m.Claim(m.t.Context(), 0, delivery.Room{Fast: 10, PerWebhook: 10, Lease: time.Minute})
	if err != nil {
		m.t.Fatal(err)
	}
	if len(claimed.Jobs) != n {
		m.t.Errorf("%s %d deliveries are due, want %d", when, len(claimed.Jobs), n)
	}
	for _, job := range claimed.Jobs {
		if late := m.Now().Sub(job.Due); late < 0 || late > 2*time.Minute {
			m.t.Errorf("%s a delivery is due since %s, and it is %s", when, job.Due, m.Now())
		}
	}
}

// wantSaid checks that the log has one warning that begins so, or nothing.
func (m *machine) wantSaid(when, want string) {
	m.t.Helper()
	lines := m.said.TakeAll()
	if want == "" && len(lines) == 0 {
		return
	}
	if len(lines) != 1 || lines[0].Level != zapcore.WarnLevel || !strings.HasPrefix(lines[0].Message, want) {
		m.t.Errorf("%s the log says %v, want one warning: %s…", when, lines, want)
	}
}

// TestClockSetBack sets the clock back by two hours while a retry waits, and again while
// it is in flight.
func TestClockSetBack(t *testing.T) {
	m, load := newMachine(t)
	m.failed(load, 2*time.Minute)
	m.wantSaid("before the step", "")
	m.set(-2 * time.Hour)
	m.pass(119 * time.Second)
	m.wantDue("early", 0)
	m.wantSaid("after the step", "this machine's clock was set back")
	m.pass(time.Second)
	m.wantDue("after two minutes", 1)
	m.set(-2 * time.Hour)
	m.pass(59 * time.Second)
	m.wantDue("during the lease", 0)
	m.pass(time.Second)
	m.wantDue("after the lease", 1)
	m.failed(load, 2*time.Minute)
	m.pass(2 * time.Minute)
	m.wantDue("what failed later", 2) // one of them is the one whose lease has ended again
}

// TestClockSetBackBetween starts the machine again with a clock that is two hours behind.
func TestClockSetBackBetween(t *testing.T) {
	m, load := newMachine(t)
	m.failed(load, 2*time.Minute)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m.set(-2 * time.Hour)
	m.start()
	m.wantSaid("at the start", "this machine's clock was set back")
	m.wantDue("at the start", 0)
	m.pass(2 * time.Minute)
	m.wantDue("after two minutes", 1)
}

// TestClockSetForward sets the clock forward: what waits falls due early, and the log says
// so.
func TestClockSetForward(t *testing.T) {
	m, load := newMachine(t)
	m.failed(load, 2*time.Minute)
	m.set(2*time.Minute - time.Second)
	m.wantDue("early", 0)
	m.wantSaid("after the step", "this machine's clock was set forward")
	m.set(time.Second)
	m.wantDue("after two minutes", 1)
	m.wantSaid("after a small step", "")
}

// TestCopyAfterClockSetBack checks that exported due times are by the machine's clock.
func TestCopyAfterClockSetBack(t *testing.T) {
	m, load := newMachine(t)
	m.failed(load, 2*time.Minute)
	m.set(-2 * time.Hour)
	m.failed(load, 2*time.Minute)
	for batch, err := range m.Export(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range batch.Events {
			if in := batch.Events[i].Deliveries[0].Due.Sub(m.Now()).Round(time.Second); in != 2*time.Minute {
				t.Errorf("a delivery falls due in %s", in)
			}
		}
	}
}

// TestNumbersAfterClockSetBack checks that the numbers of events go on as time passes after the
// clock was set back, also when the store is opened again: a look-up of a delivery reads all of
// its 16 ms.
func TestNumbersAfterClockSetBack(t *testing.T) {
	m, load := newMachine(t)
	load.Accept(t, 1, true)
	m.set(-time.Hour)
	for i := range 2 {
		spans := make(map[uint64]bool)
		for range 10 {
			m.pass(20 * time.Millisecond)
			load.Accept(t, 3, true)
			if err := m.read(func(v *view) error {
				spans[v.bucket(eventsBucket).lastNumber()>>packedDeliveries.shift] = true
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		if len(spans) != 10 {
			t.Errorf("events of 200 ms are in %d spans", len(spans))
		}
		if i > 0 {
			break
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		m.start()
		load.Store = m.Store
	}
}

// TestTakeAfterClockSetBack cancels retries that were scheduled before the clock was set back, and
// after: they wait, and are not in flight. What was claimed is.
func TestTakeAfterClockSetBack(t *testing.T) {
	m, load := newMachine(t)
	var waiting, held []delivery.Request
	for range 3 {
		held = append(held, m.failed(load, 0))
		m.wantDue("at once", 1)
		waiting = append(waiting, m.failed(load, time.Hour), m.failed(load, 10*time.Second))
		m.set(-2 * time.Hour)
	}
	take := func(r *delivery.Request) error {
		_, err := m.Take(t.Context(), delivery.WebhookRef{Tenant: r.Tenant, ID: r.WebhookID}, r.EventID, time.Second)
		return err
	}
	for i := range held {
		if err := take(&held[i]); !errors.Is(err, delivery.ErrInFlight) {
			t.Errorf("%d of those in flight: %v", i, err)
		}
	}
	for i := range waiting {
		if err := take(&waiting[i]); err != nil {
			t.Errorf("%d of those that wait: %v", i, err)
		}
		if err := take(&waiting[i]); !errors.Is(err, delivery.ErrInFlight) {
			t.Errorf("%d of those that were taken: %v", i, err)
		}
	}
}
