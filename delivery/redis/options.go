package redis

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
)

// DefaultKeyPrefix begins every key, unless Options.KeyPrefix says otherwise.
const DefaultKeyPrefix = "webhooks"

const (
	defaultPartitions        = 1
	defaultClusterPartitions = 16
	maxPartitions            = 1024 // more than any cluster needs
	// maxWaiting is how many commands may block in Redis: for each partition one that
	// follows and one that waits for replicas, and those of followers that catch up.
	maxWaiting = 4 * maxPartitions
)

// Limits of one exchange with Redis. A script takes milliseconds; only a fork, a full disk
// or a broken network takes seconds. With appendfsync everysec, Redis itself stops for up to
// 2 s while its disk is busy: whoever gives it up before that has to ask again.
const (
	dialTimeout = 2 * time.Second
	ioTimeout   = 3 * time.Second
	// maxWaitTimeout is less than the time after which the engine gives an Accept up.
	maxWaitTimeout = 4 * time.Second
	// waitingTimeout is for commands that block: for replicas, or, for follow.Hub, for 2 s.
	waitingTimeout = ioTimeout + maxWaitTimeout
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
	// WaitReplicas is how many replicas must have an event before it counts as
	// accepted; 0 for none. If fewer confirm it within WaitTimeout, the outcome of
	// Accept is unknown. Changes of webhooks do not wait.
	WaitReplicas int
	// WaitTimeout is 1 s if it is 0, and at most 4 s.
	WaitTimeout time.Duration
	// Keyring encrypts secrets, and payloads if it is made to; nil for none.
	Keyring *encryption.Keyring
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
	case o.WaitReplicas < 0:
		return fmt.Errorf("wait_replicas must not be less than 0, but is %d", o.WaitReplicas)
	case o.WaitReplicas == 0 && o.WaitTimeout != 0:
		return errors.New("a timeout of wait_replicas needs a number of replicas")
	case o.WaitReplicas > 0 && o.WaitTimeout != 0 && (o.WaitTimeout < time.Millisecond || o.WaitTimeout > maxWaitTimeout):
		return fmt.Errorf("the timeout of wait_replicas must be 1ms to %s, not %s", maxWaitTimeout, o.WaitTimeout)
	case strings.ContainsAny(o.KeyPrefix, "{}"):
		return errors.New("key_prefix must not contain braces")
	}
	return nil
}

// clients makes clients that connect when they are first used.
func (o *Options) clients() *clients {
	prompt, waiting := o.universal(0, ioTimeout), o.universal(maxWaiting, waitingTimeout)
	c := &clients{replication: replication{o.WaitReplicas, cmp.Or(o.WaitTimeout, defaultWaitTimeout)}}
	switch {
	case o.SentinelMaster != "":
		c.prompt, c.waiting = redis.NewFailoverClient(prompt.Failover()), redis.NewFailoverClient(waiting.Failover())
	case o.cluster():
		c.topology = newTopology(o)
		c.prompt, c.waiting = c.topology.client(prompt), c.topology.client(waiting)
	default:
		c.prompt, c.waiting = redis.NewClient(prompt.Simple()), redis.NewClient(waiting.Simple())
	}
	return c
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
