package storetest

import (
	"context"
	"fmt"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Neighbour measures how long a tenant's emits take beside a tenant with as many webhooks as it
// may have, each as large as it may be, who changes one of them and emits, again and again.
type Neighbour struct {
	Store delivery.Copyable
	// Begin and End are called before and after each measurement, unless they are nil.
	Begin, End func(b *testing.B)

	engine *delivery.Engine
	large  []delivery.StoredWebhook
}

const (
	quietTenant, largeTenant = "quiet", "large"
	// sampleEvery is how often the memory is looked at.
	sampleEvery = 50 * time.Millisecond
	// emitsInTurn is how many emits are measured before the other tenant begins or ends to attack.
	emitsInTurn = 250
	// afterFirstRead is when the large tenant may read at its rate again, and underWay how long
	// it attacks before that is measured: what it may read at once, it has read by then.
	afterFirstRead = 10 * time.Second
	underWay       = time.Second / 4
)

// Run runs the benchmarks: emits while the large tenant does what it can, and while it does nothing.
func (n *Neighbour) Run(b *testing.B) {
	n.fill(b)
	n.engine = delivery.NewEngine(n.Store)
	detach := n.engine.Attach(delivery.DefaultSettings(), zap.NewNop())
	defer detach()
	if err := n.change(b.Context(), 0); err != nil { // the webhooks are remembered from here on
		b.Fatal(err)
	}
	time.Sleep(afterFirstRead)
	for _, attack := range []struct {
		name string
		do   func(ctx context.Context, i int) error
	}{
		{"changes", n.change},
		{"lists", n.list},
		{"stats", func(ctx context.Context, _ int) error {
			_, err := n.engine.WebhookStats(ctx, largeTenant)
			return err
		}},
	} {
		b.Run(attack.name, func(b *testing.B) { n.measure(b, attack.do) })
	}
}

// list reads the large tenant's webhooks as the API lists them.
func (n *Neighbour) list(ctx context.Context, _ int) error {
	page := delivery.FoundWebhooks{More: true}
	for page.More {
		var err error
		page, err = n.engine.FindWebhooks(ctx, largeTenant, delivery.WebhookFilter{}, page.Next, 4*delivery.MaxWebhookPage)
		if err != nil {
			return err
		}
	}
	return nil
}

// change changes a webhook of the large tenant, and emits an event for none.
func (n *Neighbour) change(ctx context.Context, i int) error {
	w := &n.large[i%len(n.large)]
	if _, err := n.engine.ChangeWebhook(ctx, w.Ref(), func(w *delivery.Webhook) { w.Enabled = i%2 == 0 }); err != nil {
		return err
	}
	_, err := n.engine.Emit(ctx, largeTenant, []delivery.NewEvent{{Type: "alert_active", Data: []byte(`{}`)}})
	return err
}

// fill stores 60 MB of webhooks.
func (n *Neighbour) fill(b *testing.B) {
	b.Helper()
	now := n.Store.Now().Truncate(time.Millisecond)
	url, secret, description := "https://example.com/"+strings.Repeat("u", 2000), strings.Repeat("s", 1000), strings.Repeat("€", 1000)
	batch := new(delivery.Batch)
	for len(n.large) < delivery.MaxWebhooks {
		w := delivery.StoredWebhook{Webhook: delivery.Webhook{
			Tenant: largeTenant, ID: delivery.NewID(n.Store.Now()), URL: url, Secret: secret, Description: description, Enabled: true,
			EventTypes: []string{"device_created", "device_updated", "device_deleted"}, CreatedAt: now, UpdatedAt: now,
		}}
		n.large = append(n.large, w)
		if batch.AddWebhook(w); batch.Full() || len(n.large) == delivery.MaxWebhooks {
			if _, err := n.Store.Import(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
			batch = new(delivery.Batch)
		}
	}
}

// measure emits, by turns while the large tenant attacks and while it does not, so that whatever
// else the machine does is in both. It reports how long the emits take, how much memory is in use,
// and how much of it one attack takes: the garbage collector runs once for each so many bytes.
func (n *Neighbour) measure(b *testing.B, attack func(ctx context.Context, i int) error) {
	runtime.GC()
	memory := watchMemory()
	if n.Begin != nil {
		n.Begin(b)
	}
	event := []delivery.NewEvent{{Type: "alert_active", Data: []byte(`{}`)}}
	var took [2][]time.Duration // calm, attacked
	var allocated [2]float64
	attacked, attacks, stop, before := 0, 0, func() {}, readMetric(allocatedBytes)
	end := func() {
		stop()
		now := readMetric(allocatedBytes)
		allocated[attacked] += float64(now - before)
		stop, before = func() {}, now
	}
	for i := 0; b.Loop(); i++ {
		if i%emitsInTurn == 0 {
			end()
			if attacked = i / emitsInTurn % 2; attacked == 1 {
				stop = n.attack(b, attack, &attacks)
				time.Sleep(underWay)
			}
		}
		began := time.Now()
		if _, err := n.engine.Emit(b.Context(), quietTenant, event); err != nil {
			b.Fatal(err)
		}
		took[attacked] = append(took[attacked], time.Since(began))
		time.Sleep(time.Millisecond) // an emit now and then
	}
	end()
	most := memory()
	if n.End != nil {
		n.End(b)
	}
	b.ReportMetric(float64(attacks), "attacks")
	b.ReportMetric(float64(most>>20), "MiB")
	if attacks == 0 { // it is only being found out how many emits it takes
		return
	}
	calm := allocated[0] / float64(len(took[0])) * float64(len(took[1]))
	b.ReportMetric((allocated[1]-calm)/float64(attacks<<10), "KiB/attack")
	for _, p := range []int{50, 99} {
		calm, attacked := percentile(took[0], p), percentile(took[1], p)
		b.ReportMetric(calm, fmt.Sprintf("p%d-calm-ms", p))
		b.ReportMetric(attacked, fmt.Sprintf("p%d-ms", p))
		b.ReportMetric(attacked/calm, fmt.Sprintf("p%d-of-calm", p))
	}
}

// attack lets the large tenant do something again and again until it is stopped.
func (n *Neighbour) attack(b *testing.B, do func(ctx context.Context, i int) error, done *int) (stop func()) {
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for ; ctx.Err() == nil; *done++ {
			if err := do(ctx, *done); err != nil && ctx.Err() == nil {
				b.Error(err)
				return
			}
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

const allocatedBytes = "/gc/heap/allocs:bytes"

// readMetric reads one of the runtime's.
func readMetric(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// watchMemory looks at how much memory is in use until it is asked for the most.
func watchMemory() (most func() uint64) {
	inUse := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	stop, seen := make(chan struct{}), uint64(0)
	var watcher sync.WaitGroup
	watcher.Go(func() {
		tick := time.NewTicker(sampleEvery)
		defer tick.Stop()
		for {
			metrics.Read(inUse)
			seen = max(seen, inUse[0].Value.Uint64()+inUse[1].Value.Uint64())
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	})
	return func() uint64 {
		close(stop)
		watcher.Wait()
		return seen
	}
}

// percentile is in milliseconds.
func percentile(of []time.Duration, percent int) float64 {
	slices.Sort(of)
	return float64(of[len(of)*percent/100].Microseconds()) / 1000
}
