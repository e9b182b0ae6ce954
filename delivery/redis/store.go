package redis

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/clockstep"
)

// Store is a delivery.Store in Redis. It has no goroutines, and asks Redis
// nothing, but when it is called; and for those who follow logs, one goroutine with
// one connection for each partition in which there are any.
type Store struct {
	options Options // as given to New; connections says how it is reached now
	keys    keys
	log     *zap.Logger
	conns   connections
	clock   clock
	steps   clockstep.Notice

	// wanted is how many partitions there are to be, 0 for as many as there are.
	wanted atomic.Int32
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
	s := &Store{
		options: options,
		keys:    keys{prefix: options.KeyPrefix},
		log:     options.Logger,
		steps:   clockstep.Notice{Log: options.Logger, Whose: "Redis's clock"},
	}
	s.Use(options)
	return s
}

// Use changes how the same data is reached: the credentials, TLS, and which of
// its nodes to ask first. What is under way goes on as it began. It also changes with
// how many partitions the store is opened; of one that is open the number stays, and
// the log says that it is another. All else in the options stays as New was given it.
func (s *Store) Use(options Options) {
	if len(options.Addresses) == 0 {
		options.Addresses = s.options.Addresses
	}
	s.conns.use(options)
	s.wanted.Store(int32(options.Partitions))
	if parts := s.partitions.Load(); parts != nil {
		if err := s.checkPartitions(len(*parts)); err != nil {
			s.log.Error("the store goes on as it is, but would not open with this configuration", zap.Error(err))
		}
	}
}

// Close closes the connections.
func (s *Store) Close() error {
	hubs := s.hubs()
	for _, h := range hubs {
		h.Stop()
	}
	err := s.conns.close() // no other way to end a command that waits
	for _, h := range hubs {
		h.Wait()
	}
	return err
}

func (s *Store) client() redis.UniversalClient { return s.conns.client() }

// Ping says whether Redis answers now.
func (s *Store) Ping(ctx context.Context) error {
	if s.partitions.Load() == nil {
		return errNotOpen
	}
	return s.wrap(s.client().Ping(ctx).Err())
}

// Now is Redis's clock, reckoned from its answers; this machine's before the
// first one.
func (s *Store) Now() time.Time { return s.clock.now() }
