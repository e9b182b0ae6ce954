package redistest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Cluster is a Redis Cluster in which each primary has one replica. Servers of it may be
// killed, frozen and started again: its methods ask the others.
type Cluster struct{ Servers []*Server }

// StartReplicated starts a Cluster of so many primaries, each with a replica, which end with
// the test, and waits until it is complete and all replicas have caught up. A primary that is
// silent for the node timeout is replaced about a second later. The arguments are for every
// server.
func StartReplicated(t testing.TB, shards int, nodeTimeout time.Duration, args ...string) *Cluster {
	t.Helper()
	args = append([]string{
		"--cluster-node-timeout", fmt.Sprint(nodeTimeout.Milliseconds()), "--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0",
	}, args...)
	c := &Cluster{startNodes(t, 2*shards, shards, args...)}
	awaitWhole(t, c.Servers[:shards], 2*shards)
	for i, primary := range c.Servers[:shards] {
		id := must(t, primary, func(ctx context.Context, c *redis.Client) (string, error) { return c.ClusterMyID(ctx).Result() })
		replica := c.Servers[shards+i]
		await(t, "the replica to know its primary", func(ctx context.Context) bool {
			_, err := ask(ctx, replica, func(ctx context.Context, c *redis.Client) (string, error) {
				return c.ClusterReplicate(ctx, id).Result()
			})
			return err == nil
		})
	}
	c.AwaitReplicas(t)
	return c
}

// Addresses are those of all servers.
func (c *Cluster) Addresses() []string { return addresses(c.Servers) }

// Primary is the server that has the slot of a key, as all servers that answer say: one that
// was just killed may still have it. The key may be the base of a partition, too.
func (c *Cluster) Primary(t testing.TB, key string) *Server {
	t.Helper()
	var primary *Server
	await(t, "a primary of the slot", func(ctx context.Context) bool {
		primary = c.primary(ctx, key, nil)
		return primary != nil
	})
	return primary
}

// Replica is the server that replicates the primary of a key's slot.
func (c *Cluster) Replica(t testing.TB, key string) *Server {
	t.Helper()
	var replica *Server
	await(t, "a replica of the slot", func(ctx context.Context) bool {
		for _, s := range c.Servers {
			nodes, err := nodesOf(ctx, s, key)
			if err == nil && len(nodes) > 1 {
				replica = c.at(nodes[1].Addr)
				return true
			}
		}
		return false
	})
	return replica
}

// AwaitFailover waits until another server than the old one has the slot of a key, and all
// servers but the old one say so and that the Cluster is well. It returns the new primary.
func (c *Cluster) AwaitFailover(t testing.TB, key string, old *Server) *Server {
	t.Helper()
	var primary *Server
	await(t, "the replica to take over", func(ctx context.Context) bool {
		for _, s := range c.Servers {
			if s == old {
				continue
			}
			info, err := ask(ctx, s, func(ctx context.Context, c *redis.Client) (string, error) { return c.ClusterInfo(ctx).Result() })
			if err != nil || !isWell(info) {
				return false
			}
		}
		primary = c.primary(ctx, key, old)
		return primary != nil
	})
	return primary
}

// AwaitReplicas waits until all servers run, the Cluster is well, and each primary has a
// replica that has caught up.
func (c *Cluster) AwaitReplicas(t testing.TB) {
	t.Helper()
	awaitWhole(t, c.Servers, len(c.Servers))
	for _, s := range c.Servers {
		await(t, "the replicas to have caught up", func(ctx context.Context) bool {
			info, err := ask(ctx, s, func(ctx context.Context, c *redis.Client) (string, error) { return c.Info(ctx, "replication").Result() })
			return err == nil && (strings.Contains(info, "state=online") || strings.Contains(info, "master_link_status:up"))
		})
	}
}

// primary is nil unless all servers but the old one agree, and it is not the old one.
func (c *Cluster) primary(ctx context.Context, key string, old *Server) (primary *Server) {
	for _, s := range c.Servers {
		if s == old {
			continue
		}
		nodes, err := nodesOf(ctx, s, key)
		if err != nil && old == nil {
			continue // it may be down
		}
		if err != nil || len(nodes) == 0 {
			return nil
		}
		said := c.at(nodes[0].Addr)
		if said == old || primary != nil && said != primary {
			return nil
		}
		primary = said
	}
	return primary
}

func (c *Cluster) at(address string) *Server {
	i := slices.IndexFunc(c.Servers, func(s *Server) bool { return s.Addr == address })
	if i < 0 {
		return nil
	}
	return c.Servers[i]
}

// nodesOf are the nodes that have the slot of a key, as a server says, its primary first.
func nodesOf(ctx context.Context, s *Server, key string) ([]redis.ClusterNode, error) {
	return ask(ctx, s, func(ctx context.Context, c *redis.Client) ([]redis.ClusterNode, error) {
		slot, err := c.ClusterKeySlot(ctx, key).Result()
		if err != nil {
			return nil, err
		}
		ranges, err := c.ClusterSlots(ctx).Result() //nolint:staticcheck // of CLUSTER SHARDS, the primary would have to be guessed during a failover
		for _, r := range ranges {
			if int64(r.Start) <= slot && slot <= int64(r.End) {
				return r.Nodes, err
			}
		}
		return nil, err
	})
}

func addresses(servers []*Server) (all []string) {
	for _, s := range servers {
		all = append(all, s.Addr)
	}
	return all
}

func must(t testing.TB, s *Server, question func(context.Context, *redis.Client) (string, error)) string {
	t.Helper()
	answer, err := ask(t.Context(), s, question)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}
