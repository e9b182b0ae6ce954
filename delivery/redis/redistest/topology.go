package redistest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/internal/process"
)

const (
	slots = 16384
	// askTimeout is for one question to one server, which may hang.
	askTimeout = time.Second
)

// StartCluster starts a Cluster of masters, which end with the test, and waits until it is
// complete.
func StartCluster(t testing.TB, nodes int) []*Server {
	t.Helper()
	servers := startNodes(t, nodes, nodes)
	awaitWhole(t, servers, nodes)
	return servers
}

// startNodes starts nodes, shares the slots among the first few of them, and introduces all
// to each other.
func startNodes(t testing.TB, nodes, withSlots int, args ...string) []*Server {
	t.Helper()
	servers := make([]*Server, nodes)
	buses := make([]string, nodes)
	for i := range servers {
		bus, err := process.FreeAddress()
		if err != nil {
			t.Fatal(err)
		}
		_, buses[i], _ = net.SplitHostPort(bus)
		servers[i] = Start(t, append([]string{"--cluster-enabled", "yes", "--cluster-port", buses[i]}, args...)...)
	}
	host, port, _ := net.SplitHostPort(servers[0].Addr)
	for i, s := range servers {
		first, last := i*slots/withSlots, (i+1)*slots/withSlots-1
		if i >= withSlots {
			last = first - 1
		}
		if err := join(t.Context(), s, first, last, host, port, buses[0]); err != nil {
			t.Fatal(err)
		}
	}
	return servers
}

// awaitWhole waits until each of the servers says that the Cluster is well and has so many
// nodes.
func awaitWhole(t testing.TB, servers []*Server, nodes int) {
	t.Helper()
	for _, s := range servers {
		await(t, "the cluster to be whole", func(ctx context.Context) bool {
			info, err := ask(ctx, s, func(ctx context.Context, c *redis.Client) (string, error) { return c.ClusterInfo(ctx).Result() })
			return err == nil && isWell(info) && strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d\r", nodes))
		})
	}
}

func isWell(info string) bool { return strings.Contains(info, "cluster_state:ok") }

// ask asks a server something on a connection of its own. It does not wait long for a server
// that hangs.
func ask[T any](ctx context.Context, s *Server, question func(context.Context, *redis.Client) (T, error)) (T, error) {
	client := redis.NewClient(&redis.Options{
		Addr: s.Addr, DialTimeout: askTimeout, ReadTimeout: askTimeout, DialerRetries: 1, MaxRetries: -1, PoolSize: 1,
	})
	defer func() { _ = client.Close() }() // it has done its work
	return question(ctx, client)
}

// join gives a node its slots, if any, and introduces it to another one, or to itself.
func join(ctx context.Context, node *Server, first, last int, host, port, bus string) error {
	client := redis.NewClient(&redis.Options{Addr: node.Addr})
	defer func() { _ = client.Close() }() // it has done its work
	if first <= last {
		if err := client.ClusterAddSlotsRange(ctx, first, last).Err(); err != nil {
			return err
		}
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

func await(t testing.TB, what string, ok func(context.Context) bool) {
	t.Helper()
	for deadline := time.Now().Add(startTimeout); !ok(t.Context()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
