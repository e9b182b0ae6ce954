package storetest

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Replay measures replays of the tenth of some events that has failed, among live events: how long
// these take from the emit to the endpoint before and during the replay, and how much memory there is
// at most. The store must be open and empty.
func Replay(b *testing.B, store delivery.Store, events int) {
	b.Helper()
	load := Load{Store: store}
	load.Begin(b)
	fillFailed(b, &load, events)
	r := newReplayBench(b, store, load.webhooks[0].Ref())
	for b.Loop() {
		r.run(b, int64(events/10))
	}
}

// fillFailed delivers events, a tenth of which fails for good.
func fillFailed(b *testing.B, load *Load, events int) {
	b.Helper()
	const batch = 500
	for done := 0; done < events; done += batch {
		calls, accepted := load.Accept(b, batch, true)
		outcomes := load.outcomes(calls, accepted)
		for i := 0; i < batch; i += 10 {
			r := &outcomes[i].Request
			r.Status, r.StatusCode, r.Error = delivery.RequestFailed, 503, "the endpoint responded with 503 Service Unavailable"
		}
		if err := errors.Join(load.Store.Complete(b.Context(), outcomes)...); err != nil {
			b.Fatal(err)
		}
	}
}

// replayBench is an engine whose webhooks have an endpoint here.
type replayBench struct {
	engine   *delivery.Engine
	tenant   string
	endpoint *httptest.Server

	mu   sync.Mutex
	live []time.Duration
}

const liveTenant = "live"

func newReplayBench(b *testing.B, store delivery.Store, of delivery.WebhookRef) *replayBench {
	b.Helper()
	r := &replayBench{tenant: of.Tenant}
	r.endpoint = httptest.NewServer(http.HandlerFunc(r.receive))
	b.Cleanup(r.endpoint.Close)
	s := delivery.DefaultSettings()
	s.Destinations.AllowHTTP, s.Destinations.Allow = true, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	r.engine = delivery.NewEngine(store)
	b.Cleanup(r.engine.Attach(s, zap.NewNop()))
	if _, err := r.engine.ChangeWebhook(b.Context(), of, func(w *delivery.Webhook) { w.URL = r.endpoint.URL }); err != nil {
		b.Fatal(err)
	}
	if _, err := r.engine.CreateWebhook(b.Context(), delivery.Webhook{
		Tenant: liveTenant, URL: r.endpoint.URL + "/live", Enabled: true, EventTypes: []string{delivery.AllEventTypes},
	}); err != nil {
		b.Fatal(err)
	}
	return r
}

// receive notes how long live events have taken, and takes 5 ms.
func (r *replayBench) receive(_ http.ResponseWriter, req *http.Request) {
	if req.URL.Path == "/live" {
		var event struct {
			Data struct {
				Sent int64 `json:"sent"`
			} `json:"data"`
		}
		if json.NewDecoder(req.Body).Decode(&event) == nil {
			r.mu.Lock()
			r.live = append(r.live, time.Since(time.Unix(0, event.Data.Sent)))
			r.mu.Unlock()
		}
	}
	time.Sleep(5 * time.Millisecond)
}

// run measures for some seconds, and then during a replay.
func (r *replayBench) run(b *testing.B, want int64) {
	b.Helper()
	before := r.liveFor(b, func() bool { return false }, 10*time.Second)
	runtime.GC()
	heap := heapBytes()
	began := time.Now()
	if _, err := r.engine.CountReplay(b.Context(), r.tenant, delivery.ReplayFilter{Status: delivery.ReplayAny, Since: time.UnixMilli(0)}); err != nil {
		b.Fatal(err)
	}
	counted := time.Since(began)
	began = time.Now()
	replay, err := r.engine.StartReplay(b.Context(), r.tenant, delivery.ReplayFilter{Status: delivery.ReplayFailed, Since: time.UnixMilli(0)})
	if err != nil {
		b.Fatal(err)
	}
	most := heap
	during := r.liveFor(b, func() bool {
		most = max(most, heapBytes())
		now, err := r.engine.Replay(b.Context(), r.tenant, replay.ID)
		if err == nil {
			replay = now
		}
		return replay.State != delivery.ReplayRunning
	}, time.Hour)
	if replay.Total != want || replay.Done != want || replay.Succeeded+replay.Failed != want {
		b.Errorf("the replay is %+v, want %d deliveries", replay, want)
	}
	b.ReportMetric(float64(before.Microseconds())/1000, "p99-before-ms")
	b.ReportMetric(float64(during.Microseconds())/1000, "p99-during-ms")
	b.ReportMetric(float64(want)/time.Since(began).Seconds(), "replayed/s")
	b.ReportMetric(counted.Seconds(), "s-to-count-all")
	b.ReportMetric(float64(most-heap)/1e6, "MB-more")
}

// liveFor emits 100 events a second for so long, or until a function that is called now and then
// says so, and returns how long 99 of 100 took.
func (r *replayBench) liveFor(b *testing.B, ended func() bool, most time.Duration) time.Duration {
	b.Helper()
	r.mu.Lock()
	r.live = r.live[:0]
	r.mu.Unlock()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	end := time.Now().Add(most)
	for n := 0; time.Now().Before(end); n++ {
		if n%50 == 49 && ended() {
			break
		}
		<-ticker.C
		data := []byte(`{"sent":` + strconv.FormatInt(time.Now().UnixNano(), 10) + `}`)
		if _, err := r.engine.Emit(b.Context(), liveTenant, []delivery.NewEvent{{Type: "alert_active", Data: data}}); err != nil {
			b.Fatal(err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.live)
	if len(r.live) == 0 {
		return 0
	}
	return r.live[len(r.live)*99/100]
}

func heapBytes() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
