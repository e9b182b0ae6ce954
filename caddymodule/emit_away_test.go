package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/api"
	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/memory"
)

func init() { caddy.RegisterModule(new(leavingModule)) }

// leavingModule is a store that comes and goes: the one in leaving.
type leavingModule struct{}

// leaving is the store that the module makes. A test sets it before it starts an app.
var leaving *leavingStore

func (*leavingModule) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "webhooks.stores.leaving", New: func() caddy.Module { return new(leavingModule) }}
}

func (*leavingModule) Identity() string                             { return fmt.Sprintf("leaving %p", leaving) }
func (*leavingModule) NewStore(*zap.Logger) (delivery.Store, error) { return leaving, nil }
func (*leavingModule) Use(delivery.Store)                           {}

// leavingStore accepts nothing while it is away: it refuses, or does not answer.
type leavingStore struct {
	*memory.Store

	mu    sync.Mutex
	away  bool
	hangs bool
}

func (s *leavingStore) set(away, hangs bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away, s.hangs = away, hangs
}

func (s *leavingStore) state() (away, hangs bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.away, s.hangs
}

func (s *leavingStore) Ping(ctx context.Context, _ int) error {
	away, hangs := s.state()
	if hangs {
		<-ctx.Done()
	}
	if away {
		return errors.New("the store is away")
	}
	return nil
}

func (s *leavingStore) Accept(ctx context.Context, batch delivery.AcceptBatch) []delivery.Accepted {
	err := s.Ping(ctx, 0)
	if err == nil {
		return s.Store.Accept(ctx, batch)
	}
	results := make([]delivery.Accepted, len(batch.Calls))
	for i := range results {
		results[i].Err = err
	}
	return results
}

// events are how many events the store has.
func (s *leavingStore) events(t *testing.T) (n int) {
	t.Helper()
	for after := ""; ; {
		page, err := s.Events(t.Context(), api.DefaultTenant, delivery.EventFilter{Limit: 100, After: after})
		if err != nil {
			t.Fatal(err)
		}
		n += len(page.Events)
		if after = page.Next; after == "" {
			return n
		}
	}
}

// leavingApp is an app in force whose store comes and goes, with a gateway of its own.
func leavingApp(t *testing.T) *App {
	t.Helper()
	before := gateway
	gateway = newGatewayQueue()
	t.Cleanup(func() { gateway = before })
	leaving = &leavingStore{Store: memory.New()}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	a := &App{StoreRaw: []byte(`{"module":"leaving"}`)}
	if err := a.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		leaving.set(false, false)
		if err := a.Cleanup(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// visit makes a request to an application that answers at once, and returns the client's status, how
// often the application was asked, and for how long the client waited.
func visit(t *testing.T, emit *Emit) (status, asked int, waited time.Duration) {
	t.Helper()
	w, began := httptest.NewRecorder(), time.Now()
	err := emit.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", http.NoBody), caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		asked++
		_, err := io.WriteString(w, `{"a":1}`)
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, asked, time.Since(began)
}

// TestEmitStoreAwayAMinute takes the store away for a minute, under steady requests: clients wait for
// nothing, and each event is stored once.
func TestEmitStoreAwayAMinute(t *testing.T) {
	for name, hangs := range map[string]bool{"refuses": false, "does not answer": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := leavingApp(t)
				emit, requests := resolved(t, a, Emit{EventType: "device_created"}), 0
				steadily := func(period time.Duration) {
					for began := time.Now(); time.Since(began) < period; time.Sleep(100 * time.Millisecond) {
						requests++
						if status, asked, waited := visit(t, emit); status != http.StatusOK || asked != 1 || waited != 0 {
							t.Fatalf("the client got %d after %s, and the application %d requests", status, waited, asked)
						}
					}
				}
				steadily(5 * time.Second)
				leaving.set(true, hangs)
				steadily(time.Minute)
				if n := gateway.waiting.Load(); n < 500 {
					t.Fatalf("%d events wait after a minute", n)
				}
				leaving.set(false, false)
				steadily(5 * time.Second)
				time.Sleep(time.Minute) // an emit that hangs is given up
				if n := leaving.events(t); n != requests || gateway.waiting.Load() != 0 || gateway.reserved.Load() != 0 {
					t.Errorf("of %d events %d are stored, and %d wait with %d bytes", requests, n, gateway.waiting.Load(), gateway.reserved.Load())
				}
			})
		})
	}
}

// TestEmitStrictStoreAway takes the store away: the client has its 502 within the time that an emit
// has, and the application is asked once.
func TestEmitStrictStoreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := leavingApp(t)
		emit := resolved(t, a, Emit{EventType: "device_created", Strict: true})
		time.Sleep(time.Second) // the store is opened
		if status, asked, waited := visit(t, emit); status != http.StatusOK || asked != 1 {
			t.Fatalf("the client got %d after %s, and the application %d requests", status, waited, asked)
		}
		for _, hangs := range []bool{false, true} {
			leaving.set(true, hangs)
			for range 3 {
				if status, asked, waited := visit(t, emit); status != http.StatusBadGateway || asked != 1 || waited > strictTime {
					t.Errorf("hangs %t: the client got %d after %s, and the application %d requests", hangs, status, waited, asked)
				}
			}
		}
	})
}
