//go:build chaos && linux

package chaos

import (
	"fmt"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// onSentinel are the scenarios with a master, a replica and Sentinels. What the master has
// acknowledged and not replicated is lost at a failover: the README says so.
var onSentinel = []scenario{
	{name: "kill -9 of the master", store: "sentinel", start: sentinels(plain), play: killMaster, mayLose: true},
	{name: "kill -9 of the master", store: "sentinel, wait_replicas", start: sentinels(waiting), play: killMaster},
	{name: "SENTINEL FAILOVER", store: "sentinel", start: sentinels(plain), play: orderFailover, mayLose: true},
	{name: "SENTINEL FAILOVER", store: "sentinel, min-replicas", start: sentinels(withReplicas), play: orderFailover, mayLose: true},
	{name: "SENTINEL FAILOVER", store: "sentinel, wait_replicas", start: sentinels(waiting), play: orderFailover},
	{name: "split brain", store: "sentinel", start: halfCutOff(plain), play: splitBrain, mayLose: true},
	{name: "split brain", store: "sentinel, min-replicas", start: halfCutOff(withReplicas), play: splitBrain, mayLose: true},
	{name: "split brain", store: "sentinel, wait_replicas", start: halfCutOff(waiting), play: splitBrain},
}

// replication is how a master waits for its replica, or Caddy does.
type replication struct {
	redis []string // arguments of Redis
	caddy string   // what the Caddyfile says
}

var (
	plain        replication
	withReplicas = replication{redis: []string{"--min-replicas-to-write", "1", "--min-replicas-max-lag", "1"}}
	waiting      = replication{caddy: "wait_replicas 1"}
)

// sentinels start three Sentinels with a master and a replica, and two Caddys.
func sentinels(r replication) func(s *stage) []string {
	return func(s *stage) []string {
		s.startSentinels(3, r)
		store := sentinelStore(r, s.sentinels.Addresses()...)
		return []string{store, store}
	}
}

// halfCutOff starts one Sentinel. The first Caddy asks it by way of a proxy.
func halfCutOff(r replication) func(s *stage) []string {
	return func(s *stage) []string {
		s.startSentinels(1, r)
		address := s.sentinels.Sentinels[0].Addr
		s.proxy = startProxy(s.t, address, s.t.Name())
		return []string{sentinelStore(r, s.proxy.addr), sentinelStore(r, address)}
	}
}

func (s *stage) startSentinels(n int, r replication) {
	s.t.Helper()
	s.sentinels = redistest.StartSentinels(s.t, n, append([]string{"--appendonly", "yes", "--appendfsync", "always"}, r.redis...)...)
}

func sentinelStore(r replication, addresses ...string) string {
	return fmt.Sprintf("redis {\n\taddress %s\n\tsentinel %s\n\t%s\n}", strings.Join(addresses, " "), redistest.MasterName, r.caddy)
}

// killMaster kills the master. The Sentinels notice, and name the replica. Later the old
// master comes back, as a replica.
func killMaster(s *stage) {
	s.some(time.Second, 2*time.Second)
	s.sentinels.Alert(s.t)
	s.fault("kill -9 of the master", failover, func() {
		s.sentinels.Master.Kill()
		s.sentinels.AwaitMaster(s.t, s.sentinels.Replica)
	})
	s.some(2*time.Second, 3*time.Second)
	s.must(s.sentinels.Master.Restart())
	s.served()
	s.some(time.Second, 2*time.Second)
}

// orderFailover makes the Sentinels name the replica, as an admin does.
func orderFailover(s *stage) {
	s.some(time.Second, 2*time.Second)
	s.fault("SENTINEL FAILOVER", failover, func() {
		s.orderFailover()
	})
	s.served()
	s.some(12*time.Second, 13*time.Second) // until the old master is a replica
}

func (s *stage) orderFailover() {
	s.t.Helper()
	client := goredis.NewSentinelClient(&goredis.Options{Addr: s.sentinels.Sentinels[0].Addr})
	defer func() { _ = client.Close() }() // it has done its work
	s.must(client.Failover(s.t.Context(), redistest.MasterName).Err())
	s.sentinels.AwaitMaster(s.t, s.sentinels.Replica)
}

// splitBrain leaves the first Caddy with the old master, for ten seconds, while the second
// one uses the new master. Then the old one becomes a replica.
func splitBrain(s *stage) {
	old := goredis.NewClient(&goredis.Options{Addr: s.sentinels.Master.Addr})
	defer func() { _ = old.Close() }() // it has done its work
	s.some(time.Second, 2*time.Second)
	s.fault("split brain", failover, func() {
		// The Sentinel cannot tell the old master that it is one no longer, as if it
		// were cut off from it.
		s.must(old.Do(s.t.Context(), "acl", "setuser", "default", "-replicaof", "-slaveof").Err())
		s.proxy.become(weather{cutOff: everybody})
		s.orderFailover()
		time.Sleep(10 * time.Second)
		s.must(old.Do(s.t.Context(), "acl", "setuser", "default", "+replicaof", "+slaveof").Err())
		s.proxy.become(weather{})
		eventually(s.t, "the old master to be a replica", func() error {
			role, err := old.Do(s.t.Context(), "role").Slice()
			if err == nil && role[0] != "slave" {
				err = fmt.Errorf("it is %v", role[0])
			}
			return err
		})
	})
	s.served()
	s.some(time.Second, 2*time.Second)
}
