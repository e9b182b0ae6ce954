package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.uber.org/zap"
)

// DefaultKeyPrefix begins every key, unless Options.KeyPrefix says otherwise.
const DefaultKeyPrefix = "webhooks"

const (
	defaultPartitions        = 1
	defaultClusterPartitions = 16
	maxPartitions            = 1024 // more than any cluster needs
	// maxWaiting is how many commands may block in Redis: one for each partition, and
	// those of followers that catch up.
	maxWaiting = 2 * maxPartitions
)

// Limits of one exchange with Redis. A script takes milliseconds; only a fork, a full disk
// or a broken network takes seconds. With appendfsync everysec, Redis itself stops for up to
// 2 s while its disk is busy: whoever gives it up before that has to ask again.
const (
	dialTimeout = 2 * time.Second
	ioTimeout   = 3 * time.Second
	// waitingTimeout is for commands that block for some seconds: follow.Hub has them block
	// for 2 s.
	waitingTimeout = ioTimeout + 2*time.Second
)

// Options say where Redis is and how to use it.
type Options struct {
	// Addresses are host:port. Several are nodes of a Cluster, or the Sentinels
	// if SentinelMaster is set.
	Addresses []string
	// SentinelMaster is the name by which the Sentinels know the master.
	SentinelMaster string

	Username string
	Password string
	// SentinelUsername and SentinelPassword are for the Sentinels themselves.
	SentinelUsername string
	SentinelPassword string

	// DB is the number of the database; a Cluster has only 0.
	DB int
	// TLS, if not nil, is used for every connection.
	TLS *tls.Config
	// KeyPrefix begins every key; empty for DefaultKeyPrefix.
	KeyPrefix string
	// Partitions is over how many slots tenants are spread. It is recorded at
	// the first Open and cannot be changed. 0 takes what is recorded, or else 1,
	// and 16 in a Cluster.
	Partitions int
	// AllowEviction opens a Redis whose maxmemory-policy lets it evict what was accepted.
	// Without it, that is an error of Open.
	AllowEviction bool
	// Logger gets warnings about how Redis is set up; nil for none.
	Logger *zap.Logger
}

// cluster says whether the addresses are nodes of a Cluster.
func (o *Options) cluster() bool { return len(o.Addresses) > 1 && o.SentinelMaster == "" }

// Validate returns an error if the options make no sense. The error has no secrets.
func (o *Options) Validate() error {
	switch {
	case o.DB < 0:
		return fmt.Errorf("db must not be less than 0, but is %d", o.DB)
	case o.cluster() && o.DB != 0:
		return errors.New("a cluster has only db 0")
	case o.Partitions < 0 || o.Partitions > maxPartitions:
		return fmt.Errorf("partitions must be 1 to %d, not %d", maxPartitions, o.Partitions)
	case o.SentinelMaster == "" && (o.SentinelUsername != "" || o.SentinelPassword != ""):
		return errors.New("sentinel_username and sentinel_password need sentinel")
	case strings.ContainsAny(o.KeyPrefix, "{}"):
		return errors.New("key_prefix must not contain braces")
	}
	return nil
}

// clients makes clients that connect when they are first used.
func (o *Options) clients() *clients {
	prompt, waiting := o.universal(0, ioTimeout), o.universal(maxWaiting, waitingTimeout)
	switch {
	case o.SentinelMaster != "":
		return &clients{prompt: redis.NewFailoverClient(prompt.Failover()), waiting: redis.NewFailoverClient(waiting.Failover())}
	case o.cluster():
		t := newTopology(o)
		return &clients{prompt: t.client(prompt), waiting: t.client(waiting), topology: t}
	default:
		return &clients{prompt: redis.NewClient(prompt.Simple()), waiting: redis.NewClient(waiting.Simple())}
	}
}

// universal are the options of a client that has at most the given number of connections to
// a node; 0 leaves that to go-redis.
func (o *Options) universal(connections int, timeout time.Duration) *redis.UniversalOptions {
	return &redis.UniversalOptions{
		Addrs:            o.Addresses,
		MasterName:       o.SentinelMaster,
		Username:         o.Username,
		Password:         o.Password,
		SentinelUsername: o.SentinelUsername,
		SentinelPassword: o.SentinelPassword,
		DB:               o.DB,
		TLSConfig:        o.TLS,
		DialTimeout:      dialTimeout,
		ReadTimeout:      timeout,
		WriteTimeout:     timeout,
		// The caller's deadline applies to the exchange.
		ContextTimeoutEnabled: true,
		// Only the engine can repeat a command that may have been run already.
		MaxRetries: -1,
		// In a Cluster, a plain command is sent once more if its slot has moved. Scripts
		// are sent to the node by ourselves.
		MaxRedirects:    1,
		DialerRetries:   1,
		DisableIdentity: true,
		PoolSize:        connections,
		// One pool of connections is enough.
		PipelinePoolSize:         -1,
		MaintNotificationsConfig: noMaintenance(),
	}
}

func noMaintenance() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}
