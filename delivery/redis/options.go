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
// or a broken network takes seconds.
const (
	dialTimeout = 5 * time.Second
	ioTimeout   = 5 * time.Second
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

// client makes a client that connects when it is first used. It has at most the given
// number of connections to a node; 0 leaves that to go-redis.
func (o *Options) client(connections int) redis.UniversalClient {
	u := &redis.UniversalOptions{
		Addrs:            o.Addresses,
		MasterName:       o.SentinelMaster,
		Username:         o.Username,
		Password:         o.Password,
		SentinelUsername: o.SentinelUsername,
		SentinelPassword: o.SentinelPassword,
		DB:               o.DB,
		TLSConfig:        o.TLS,
		DialTimeout:      dialTimeout,
		ReadTimeout:      ioTimeout,
		WriteTimeout:     ioTimeout,
		// The caller's deadline applies to the exchange.
		ContextTimeoutEnabled: true,
		// Only the engine can repeat a command that may have been run already.
		MaxRetries:      -1,
		DialerRetries:   1,
		DisableIdentity: true,
		PoolSize:        connections,
		// One pool of connections is enough.
		PipelinePoolSize: -1,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
	switch {
	case o.SentinelMaster != "":
		return redis.NewFailoverClient(u.Failover())
	case o.cluster():
		return redis.NewClusterClient(u.Cluster())
	default:
		return redis.NewClient(u.Simple())
	}
}
