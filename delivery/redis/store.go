package redis

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/clockstep"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/encrypting"
)

// Store is a delivery.Store in Redis. It uses Redis only when it is called, and has no
// goroutines, except one for each partition whose logs are followed, with a connection of
// its own, and, while a Cluster fails, what reads its topology.
type Store struct {
	options Options // as given to New; conns has what Use changed
	keys    keys
	log     *zap.Logger
	conns   connections
	clock   clock
	steps   clockstep.Notice

	troubles   troubles
	lookUps    lookUps
	encryption encrypting.State

	// work is how much a script does of a read that may take long.
	work int
	// longChunk is how long a chunk of the index of events may become, in bytes.
	longChunk int

	// wanted is the configured number of partitions, 0 for any.
	wanted atomic.Int32
	// allowEviction is the configured one, for the next Open.
	allowEviction atomic.Bool
	// partitions is nil until the store is open.
	partitions atomic.Pointer[[]*partition]
	// turn says with which partition inTurn starts.
	turn atomic.Uint32
}

var _ delivery.Store = (*Store)(nil)

// New makes a store. It does not connect before Open.
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
		options:    options,
		keys:       keys{prefix: options.KeyPrefix},
		log:        options.Logger,
		work:       workPerScript,
		longChunk:  longChunk,
		steps:      clockstep.Notice{Log: options.Logger, Whose: "Redis's clock"},
		encryption: encrypting.State{Log: options.Logger},
	}
	s.Use(options)
	return s
}

// Use changes how the store is reached: the credentials, TLS, and which nodes to ask
// first. Commands in progress continue on the old connections. Use also changes the keyring,
// and, for the next Open, the number of partitions and AllowEviction; if the store is open with
// another number of partitions, the log says so. All other options stay as they were given to
// New.
func (s *Store) Use(options Options) {
	if len(options.Addresses) == 0 {
		options.Addresses = s.options.Addresses
	}
	s.conns.use(options)
	s.encryption.Use(options.Keyring)
	s.wanted.Store(int32(options.Partitions))
	s.allowEviction.Store(options.AllowEviction)
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
	err := s.conns.close() // the only way to end a command that blocks
	for _, h := range hubs {
		h.Wait()
	}
	return err
}

func (s *Store) client() redis.UniversalClient { return s.conns.get().prompt }

// Ping returns an error if a partition would not accept events now. It runs the script that
// accepts them, with none: Redis refuses that script for the same reasons as always.
func (s *Store) Ping(ctx context.Context, partition int) error {
	p, err := s.number(partition)
	if err != nil {
		return err
	}
	c := newAcceptance(p).call(new(delivery.AcceptBatch), s.longChunk)
	s.runAll(ctx, c)
	return c.err
}

// Now is Redis's clock, computed from its replies, or this machine's before the first one.
func (s *Store) Now() time.Time { return s.clock.now() }
