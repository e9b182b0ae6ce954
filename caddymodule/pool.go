package caddymodule

import (
	"context"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// engines holds the engines of this process, one per store, so that a reload
// changes the settings of an engine and not the engine. The key is the store's
// identity alone: keyed by all of the configuration, each changed option would
// open the same store twice.
var engines = caddy.NewUsagePool()

// closeTimeout bounds how long an engine that nobody uses any more waits for the
// requests that still hold it.
const closeTimeout = 10 * time.Second

// pooledEngine is an engine that outlives the configuration that made it.
type pooledEngine struct {
	*delivery.Engine
	store    delivery.Store
	storeLog *currentCore
	noKey    sync.Once // warns
}

func newPooledEngine(module StoreModule, log *zap.Logger) (*pooledEngine, error) {
	core := newCurrentCore(log)
	store, err := module.NewStore(zap.New(core).Named(log.Name()))
	if err != nil {
		return nil, err
	}
	return &pooledEngine{Engine: delivery.NewEngine(store, delivery.WithObserver(metrics)), store: store, storeLog: core}, nil
}

// attach makes a configuration the engine's: its settings, its log and its way to
// the store.
func (p *pooledEngine) attach(s delivery.Settings, module StoreModule, log *zap.Logger) (detach func()) {
	s.InForce = func() {
		p.storeLog.use(log)
		module.Use(p.store)
	}
	return p.Attach(s, log)
}

// Destruct closes the engine and its store after the last configuration has
// given it back.
func (p *pooledEngine) Destruct() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return p.Close(ctx)
}

// Interface guard
var _ caddy.Destructor = (*pooledEngine)(nil)
