package chaos

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// fanOut is how many webhooks each tenant has. All want all events.
const fanOut = 2

// scenario is a load with faults.
type scenario struct {
	name  string
	store string // its kind, for the table
	// start starts the store, and returns what the Caddyfile of each Caddy says of it.
	start func(s *stage) []string
	// play causes the faults, while the load goes on.
	play func(s *stage)
	// mayLose: what is acknowledged may be lost, as the README says.
	mayLose bool
	// pace is the mean time between calls of one tenant; 0: the usual one.
	pace time.Duration
}

// usualPace makes some 200 events a second, for 400 deliveries.
const usualPace = 100 * time.Millisecond

// stage is all that a scenario runs on.
type stage struct {
	t        *testing.T
	random   *rand.Rand
	ledger   *ledger
	receiver *receiver
	caddys   []*caddy
	emitters *emitters
	webhooks map[uuid.UUID]int // the number of each webhook within its tenant

	// What the store is made of: not all of it is there in each scenario.
	redis     *redistest.Server
	client    *goredis.Client // of redis
	sentinels *redistest.Sentinels
	cluster   *redistest.Cluster
	proxy     *proxy
	folder    string

	faults   []fault
	forgiven time.Time // see judge
	notes    []string  // for the table
}

func (sc *scenario) title() string { return sc.store + ": " + sc.name }

// run plays a scenario and audits what has become of it.
func (sc *scenario) run(t *testing.T) {
	t.Helper()
	s := newStage(t)
	s.receiver = startReceiver(t, func(uuid.UUID) *ledger { return s.ledger })
	s.startCaddys(sc.start(s))
	begin := time.Now()
	s.load(func() *ledger { return s.ledger }, cmp.Or(sc.pace, usualPace))
	sc.play(s)
	for _, c := range s.caddys {
		c.ready()
	}
	end := time.Now()
	s.emitters.end()
	s.settle()
	j := &judge{webhooks: s.webhooks, fanOut: fanOut, faults: s.faults, forgiven: s.forgiven, mayLose: sc.mayLose}
	s.audit(j)
	line := result{scenario: sc.name, store: sc.store, verdict: j.verdict, notes: s.notes}
	line.away = worstOutage(s.ledger.calls, begin, end)
	line.back = worstReturn(s.ledger.calls, s.faults, end)
	table.add(line)
	report(t, j.wrong)
}

func newStage(t *testing.T) *stage {
	return &stage{t: t, random: decisions(t.Name()), ledger: newLedger(0), webhooks: make(map[uuid.UUID]int)}
}

// startCaddys starts a Caddy with each store, and creates the webhooks.
func (s *stage) startCaddys(stores []string) {
	s.t.Helper()
	for i, store := range stores {
		s.caddys = append(s.caddys, newCaddy(s.t, fmt.Sprintf("Caddy %d", i+1), store))
		s.caddys[i].start()
	}
	for _, c := range s.caddys {
		c.ready()
	}
	s.subscribe()
}

// report fails the test if anything is wrong, and says the first of it.
func report(t *testing.T, wrong []string) {
	t.Helper()
	const most = 10
	if n := len(wrong); n > 0 {
		t.Errorf("%d things are wrong, such as:\n%s", n, strings.Join(wrong[:min(n, most)], "\n"))
	}
}

// subscribe creates the webhooks of all tenants.
func (s *stage) subscribe() {
	s.t.Helper()
	for tenant := range tenants {
		for n := range fanOut {
			s.must(s.createWebhook(tenant, n))
		}
	}
}

func (s *stage) createWebhook(tenant, n int) error {
	body := fmt.Sprintf(`{"url":%q}`, s.receiver.url(tenant, n))
	r, err := do(s.t.Context(), http.MethodPost, s.caddys[0].api+"/webhooks", tenantName(tenant), []byte(body))
	if err != nil {
		return err
	}
	var created struct{ ID uuid.UUID }
	if err := r.want(http.StatusCreated, &created); err != nil {
		return err
	}
	s.webhooks[created.ID] = n
	return nil
}

// load starts the emitters, which emit once in a pace each.
func (s *stage) load(ledger func() *ledger, pace time.Duration) {
	var apis []string
	for _, c := range s.caddys {
		apis = append(apis, c.api)
	}
	s.emitters = &emitters{ledger: ledger, apis: apis}
	s.emitters.pace.Store(int64(pace))
	s.emitters.start(s.t.Name())
	s.t.Cleanup(s.emitters.abandon)
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// note adds a sentence to the table.
func (s *stage) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// fault makes a fault happen. It lasts as long as the function.
func (s *stage) fault(what string, effects effect, happen func()) {
	s.t.Helper()
	f := fault{what: what, effects: effects, begin: time.Now()}
	happen()
	f.end = time.Now()
	s.faults = append(s.faults, f)
}

// some waits for a time that is decided between two bounds.
func (s *stage) some(least, most time.Duration) {
	time.Sleep(least + time.Duration(s.random.Int64N(int64(most-least))))
}

// unwell waits until health says that something is wrong, at each Caddy.
func (s *stage) unwell() {
	s.t.Helper()
	for _, c := range s.caddys {
		eventually(s.t, c.name+" to be unwell", func() error {
			r, err := do(s.t.Context(), http.MethodGet, c.api+"/health", tenantName(0), nil)
			if err != nil {
				return err
			}
			return r.want(http.StatusServiceUnavailable, nil)
		})
	}
}

// served waits until events of each tenant have been accepted, and until something has
// arrived since.
func (s *stage) served() {
	s.t.Helper()
	since := time.Now()
	eventually(s.t, "all tenants to be served", func() error {
		s.ledger.mu.Lock()
		defer s.ledger.mu.Unlock()
		return servedSince(s.ledger.calls, since)
	})
}

func servedSince(calls []call, since time.Time) error {
	served := make(map[int]bool)
	for i := len(calls) - 1; i >= 0 && calls[i].end.After(since); i-- {
		if calls[i].outcome == acknowledged {
			served[calls[i].tenant] = true
		}
	}
	for tenant := range tenants {
		if !served[tenant] {
			return fmt.Errorf("no event of %s was accepted", tenantName(tenant))
		}
	}
	return nil
}
