//go:build chaos && linux

package chaos

import (
	"fmt"
	"slices"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

const (
	shards      = 3
	nodeTimeout = 2 * time.Second
)

// onCluster are the scenarios with a Cluster in which each primary has a replica. What a
// primary has acknowledged and not replicated is lost when it fails: the README says so.
var onCluster = []scenario{
	{name: "kill -9 of a primary", store: "cluster", start: cluster(plain), play: killPrimary, mayLose: true},
	{name: "kill -9 of a primary", store: "cluster, wait_replicas", start: cluster(waiting), play: killPrimary},
	{name: "a primary hangs", store: "cluster", start: cluster(plain), play: hangPrimary, mayLose: true},
	{name: "slots move", store: "cluster", start: cluster(plain), play: moveSlots},
	{name: "a shard is away for a minute", store: "cluster", start: cluster(plain), play: leaveShard(long)},
}

func cluster(r replication) func(s *stage) []string {
	return func(s *stage) []string {
		s.cluster = redistest.StartReplicated(s.t, shards, nodeTimeout, append([]string{
			"--appendonly", "yes", "--appendfsync", "always", "--cluster-require-full-coverage", "no",
		}, r.redis...)...)
		store := fmt.Sprintf("redis {\n\taddress %s\n\t%s\n}", strings.Join(s.cluster.Addresses(), " "), r.caddy)
		return []string{store, store}
	}
}

// partitionKey is a key of the partition that has a tenant.
func (s *stage) partitionKey(tenant int) string {
	s.t.Helper()
	for _, server := range s.cluster.Servers {
		client := goredis.NewClient(&goredis.Options{Addr: server.Addr})
		keys, err := client.Keys(s.t.Context(), "*}:webhooks:"+tenantName(tenant)).Result()
		_ = client.Close() // it has done its work
		s.must(err)
		if len(keys) > 0 {
			base, _, _ := strings.Cut(keys[0], "}")
			return base + "}"
		}
	}
	s.t.Fatalf("no server has %s", tenantName(tenant))
	return ""
}

// byPrimary says which primary has which tenants.
func (s *stage) byPrimary() map[*redistest.Server][]int {
	s.t.Helper()
	by := make(map[*redistest.Server][]int)
	for tenant := range tenants {
		primary := s.cluster.Primary(s.t, s.partitionKey(tenant))
		by[primary] = append(by[primary], tenant)
	}
	return by
}

// killPrimary kills the primary of some tenant. Later it comes back, as a replica.
func killPrimary(s *stage) {
	key := s.partitionKey(s.random.IntN(tenants))
	old := s.cluster.Primary(s.t, key)
	s.some(time.Second, 2*time.Second)
	s.fault("kill -9 of a primary", failover, func() {
		old.Kill()
		s.cluster.AwaitFailover(s.t, key, old)
	})
	s.some(3*time.Second, 4*time.Second)
	s.must(old.Restart())
	s.served()
	s.some(time.Second, 2*time.Second)
}

// hangPrimary stops the primary of some tenant, like a machine that hangs, and resumes it
// when its replica has long taken over.
func hangPrimary(s *stage) {
	key := s.partitionKey(s.random.IntN(tenants))
	old := s.cluster.Primary(s.t, key)
	s.some(time.Second, 2*time.Second)
	s.fault("SIGSTOP of a primary", failover, func() {
		s.must(old.Freeze())
		s.cluster.AwaitFailover(s.t, key, old)
	})
	s.served()
	s.fault("SIGCONT of the primary", failover, func() { s.must(old.Thaw()) })
	s.some(2*time.Second, 3*time.Second)
	s.served()
}

// moveSlots moves the slots of some tenants to other nodes.
func moveSlots(s *stage) {
	for range 3 {
		key := s.partitionKey(s.random.IntN(tenants))
		from := s.cluster.Primary(s.t, key)
		to := s.cluster.Servers[(slices.Index(s.cluster.Servers, from)+1)%shards] // the first are the primaries
		s.some(500*time.Millisecond, time.Second)
		s.fault("a slot moves", repeats, func() {
			redistest.MoveSlot(s.t, from, to, key, func() {})
		})
		s.served()
	}
}

// leaveShard takes away one shard, the replica included, for a while. The tenants of the
// others should not notice.
func leaveShard(d time.Duration) func(s *stage) {
	return func(s *stage) {
		key := s.partitionKey(s.random.IntN(tenants))
		primary, replica := s.cluster.Primary(s.t, key), s.cluster.Replica(s.t, key)
		away := make(map[int]bool)
		for _, tenant := range s.byPrimary()[primary] {
			away[tenant] = true
		}
		began := time.Now()
		time.Sleep(d / 2) // to compare with
		var gone, back time.Time
		s.fault("a shard is away", failover, func() {
			gone = time.Now()
			primary.Kill()
			replica.Kill()
			s.unwell()
			time.Sleep(time.Until(gone.Add(d)))
			back = time.Now()
			s.must(primary.Restart())
			s.must(replica.Restart())
		})
		s.served()
		s.ledger.mu.Lock()
		defer s.ledger.mu.Unlock()
		others := func(from, to time.Time) time.Duration {
			return percentile(s.ledger.calls, .99, func(c *call) bool {
				return !away[c.tenant] && c.begin.After(from) && c.begin.Before(to)
			})
		}
		before, meanwhile := others(began, gone), others(gone, back)
		s.note("p99 of the %d tenants elsewhere: %s before, %s meanwhile", tenants-len(away), before.Round(100*time.Microsecond), meanwhile.Round(100*time.Microsecond))
		var worst time.Duration
		for tenant := range tenants {
			if !away[tenant] {
				worst = max(worst, outage(s.ledger.calls, tenant, gone, back))
			}
		}
		s.note("they were without service for %.1f s", worst.Seconds())
	}
}
