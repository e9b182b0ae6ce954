package storetest

import (
	"context"
	"runtime"
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
)

// Run runs the benchmarks: while the large tenant does nothing, and while it does what it can.
func (n *Neighbour) Run(b *testing.B) {
	n.fill(b)
	n.engine = delivery.NewEngine(n.Store)
	detach := n.engine.Attach(delivery.DefaultSettings(), zap.NewNop())
	defer detach()
	b.Run("calm", n.measure)
	for _, do := range []struct {
		name string
		do   func(ctx context.Context, i int) error
	}{
		{"changes", n.change},
		{"lists", func(ctx context.Context, _ int) error {
			_, err := n.engine.WebhookStats(ctx, largeTenant)
			return err
		}},
	} {
		b.Run(do.name, func(b *testing.B) {
			ctx, cancel := context.WithCancel(b.Context())
			var attack sync.WaitGroup
			done := 0
			attack.Go(func() {
				for ; ctx.Err() == nil; done++ {
					if err := do.do(ctx, done); err != nil && ctx.Err() == nil {
						b.Error(err)
						return
					}
				}
			})
			n.measure(b)
			cancel()
			attack.Wait()
			b.ReportMetric(float64(done), "attacks")
		})
	}
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

// measure emits, and reports how long that takes and how much memory is in use.
func (n *Neighbour) measure(b *testing.B) {
	var took []time.Duration
	runtime.GC()
	stop, most := make(chan struct{}), uint64(0)
	var sampler sync.WaitGroup
	sampler.Go(func() {
		tick := time.NewTicker(sampleEvery)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	})
	if n.Begin != nil {
		n.Begin(b)
	}
	event := []delivery.NewEvent{{Type: "alert_active", Data: []byte(`{}`)}}
	for b.Loop() {
		began := time.Now()
		if _, err := n.engine.Emit(b.Context(), quietTenant, event); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
		time.Sleep(time.Millisecond) // an emit now and then
	}
	close(stop)
	sampler.Wait()
	if n.End != nil {
		n.End(b)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(most>>20), "MiB")
}
