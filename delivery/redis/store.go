package redis

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Store is a delivery.Store in Redis. It has no goroutines, and asks Redis
// nothing, but when it is called.
type Store struct {
	options Options
	keys    keys
	log     *zap.Logger
	client  redis.UniversalClient
	clock   clock

	// partitions is nil until the store is open.
	partitions atomic.Pointer[[]*partition]
	// turn is where the next step that visits partitions in turn begins.
	turn atomic.Uint32
}

var _ delivery.Store = (*Store)(nil)

// New makes a store. It connects to nothing before Open.
func New(options Options) *Store {
	if len(options.Addresses) == 0 {
		options.Addresses = []string{"localhost:6379"}
	}
	if options.KeyPrefix == "" {
		options.KeyPrefix = DefaultKeyPrefix
	}
	if options.Logger == nil {
		options.Logger = zap.NewNop()
	}
	return &Store{
		options: options,
		keys:    keys{prefix: options.KeyPrefix},
		log:     options.Logger,
		client:  options.client(),
	}
}

// Close closes the connections.
func (s *Store) Close() error { return s.client.Close() }

// Ping says whether Redis answers now.
func (s *Store) Ping(ctx context.Context) error {
	if s.partitions.Load() == nil {
		return errNotOpen
	}
	return s.wrap(s.client.Ping(ctx).Err())
}

// Now is Redis's clock, reckoned from its answers; this machine's before the
// first one.
func (s *Store) Now() time.Time { return s.clock.now() }
