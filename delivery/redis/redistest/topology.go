package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/internal/process"
)

const slots = 16384

// StartCluster starts a Cluster of masters, which end with the test, and waits until it is
// complete.
func StartCluster(t testing.TB, nodes int) []*Server {
	t.Helper()
	servers := make([]*Server, nodes)
	buses := make([]string, nodes)
	for i := range servers {
		bus, err := process.FreeAddress()
		if err != nil {
			t.Fatal(err)
		}
		_, buses[i], _ = net.SplitHostPort(bus)
		servers[i] = Start(t, "--cluster-enabled", "yes", "--cluster-port", buses[i])
	}
	host, port, _ := net.SplitHostPort(servers[0].Addr)
	for i, s := range servers {
		first, last := i*slots/nodes, (i+1)*slots/nodes-1
		if err := join(t.Context(), s, first, last, host, port, buses[0]); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range servers {
		await(t, "the cluster to be whole", func(ctx context.Context) bool {
			client := redis.NewClient(&redis.Options{Addr: s.Addr})
			defer func() { _ = client.Close() }() // it has done its work
			info, err := client.ClusterInfo(ctx).Result()
			return err == nil && strings.Contains(info, "cluster_state:ok") &&
				strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d", nodes))
		})
	}
	return servers
}

// join gives a node its slots and introduces it to another one, or to itself.
func join(ctx context.Context, node *Server, first, last int, host, port, bus string) error {
	client := redis.NewClient(&redis.Options{Addr: node.Addr})
	defer func() { _ = client.Close() }() // it has done its work
	if err := client.ClusterAddSlotsRange(ctx, first, last).Err(); err != nil {
		return err
	}
	return client.Do(ctx, "CLUSTER", "MEET", host, port, bus).Err()
}

// MoveSlot moves a key's slot from one of two nodes to the other, a key at a time, like
// redis-cli's reshard. It calls between after the move has begun and after each key.
func MoveSlot(t testing.TB, a, b *Server, key string, between func()) {
	t.Helper()
	type node struct {
		*redis.Client
		id string
	}
	do := func(n *node, args ...any) *redis.Cmd {
		t.Helper()
		cmd := n.Do(t.Context(), args...)
		if err := cmd.Err(); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return cmd
	}
	connect := func(s *Server) *node {
		n := &node{Client: redis.NewClient(&redis.Options{Addr: s.Addr})}
		t.Cleanup(func() { _ = n.Close() }) // it has done its work
		n.id = do(n, "CLUSTER", "MYID").Val().(string)
		return n
	}
	from, to, server := connect(a), connect(b), b
	slot := do(from, "CLUSTER", "KEYSLOT", key).Val()
	count := func(n *node) int64 { return do(n, "CLUSTER", "COUNTKEYSINSLOT", slot).Val().(int64) }
	if count(from) == 0 {
		from, to, server = to, from, a
	}
	do(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", from.id)
	do(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", to.id)
	host, port, _ := net.SplitHostPort(server.Addr)
	between()
	for count(from) > 0 {
		keys := do(from, "CLUSTER", "GETKEYSINSLOT", slot, 1).Val().([]any)
		do(from, "MIGRATE", host, port, keys[0], 0, 10_000)
		between()
	}
	do(to, "CLUSTER", "SETSLOT", slot, "NODE", to.id)
	do(from, "CLUSTER", "SETSLOT", slot, "NODE", to.id)
}

// MasterName is the name by which StartSentinel's Sentinel knows the master.
const MasterName = "main"

// StartSentinel starts a master with a replica, and a Sentinel that watches them. All end
// with the test. Until Alert, the Sentinel tolerates a minute of silence, so that a busy
// machine does not cause a failover.
func StartSentinel(t testing.TB) (sentinel, master, replica *Server) {
	t.Helper()
	master = Start(t)
	host, port, _ := net.SplitHostPort(master.Addr)
	replica = Start(t, "--replicaof", host+" "+port)

	sentinel, err := newServer(t.TempDir(), "--sentinel")
	if err != nil {
		t.Fatal(err)
	}
	sentinel.config = filepath.Join(sentinel.Dir, "sentinel.conf") // where a Sentinel stores what it knows
	text := fmt.Sprintf(`sentinel monitor %[1]s %[2]s %[3]s 1
sentinel down-after-milliseconds %[1]s 60000
sentinel failover-timeout %[1]s 3000
`, MasterName, host, port)
	if err := os.WriteFile(sentinel.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := sentinel.startAnywhere(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sentinel.Kill)
	await(t, "the Sentinel to know the replica", func(ctx context.Context) bool {
		client := redis.NewSentinelClient(&redis.Options{Addr: sentinel.Addr})
		defer func() { _ = client.Close() }() // it has done its work
		replicas, err := client.Replicas(ctx, MasterName).Result()
		return err == nil && len(replicas) == 1 && replicas[0]["master-link-status"] == "ok"
	})
	return sentinel, master, replica
}

// Alert makes a Sentinel let the replica take over after half a second of silence.
func Alert(t testing.TB, sentinel *Server) {
	t.Helper()
	client := redis.NewSentinelClient(&redis.Options{Addr: sentinel.Addr})
	defer func() { _ = client.Close() }() // it has done its work
	if err := client.Set(t.Context(), MasterName, "down-after-milliseconds", "500").Err(); err != nil {
		t.Fatal(err)
	}
}

func await(t testing.TB, what string, ok func(context.Context) bool) {
	t.Helper()
	for deadline := time.Now().Add(startTimeout); !ok(t.Context()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
