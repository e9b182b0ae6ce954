package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
)

// MasterName is the name by which the Sentinels know the master.
const MasterName = "main"

// Sentinels are a master with a replica, and the Sentinels that watch them. Most of the
// Sentinels together name another master.
type Sentinels struct {
	Sentinels       []*Server
	Master, Replica *Server
}

// StartSentinel starts a master with a replica, and a Sentinel that watches them, like
// StartSentinels.
func StartSentinel(t testing.TB) (sentinel, master, replica *Server) {
	t.Helper()
	s := StartSentinels(t, 1)
	return s.Sentinels[0], s.Master, s.Replica
}

// StartSentinels starts a master with a replica, and n Sentinels that watch them. All end
// with the test. Until Alert, the Sentinels tolerate a minute of silence, so that a busy
// machine does not cause a failover. The arguments are for the master and the replica.
func StartSentinels(t testing.TB, n int, args ...string) *Sentinels {
	t.Helper()
	args = append([]string{"--repl-diskless-sync-delay", "0"}, args...)
	master := Start(t, args...)
	host, port, _ := net.SplitHostPort(master.Addr)
	group := &Sentinels{Master: master, Replica: Start(t, append(args, "--replicaof", host+" "+port)...)}
	for range n {
		group.Sentinels = append(group.Sentinels, startSentinel(t, master, n/2+1))
	}
	group.AwaitSentinels(t)
	return group
}

// AwaitSentinels waits until each Sentinel knows the replica and the other Sentinels.
func (s *Sentinels) AwaitSentinels(t testing.TB) {
	t.Helper()
	for _, sentinel := range s.Sentinels {
		await(t, "the Sentinel to know the replica and the other Sentinels", func(ctx context.Context) bool {
			return knows(ctx, sentinel, 1, len(s.Sentinels)-1)
		})
	}
}

func startSentinel(t testing.TB, master *Server, quorum int) *Server {
	t.Helper()
	host, port, _ := net.SplitHostPort(master.Addr)
	sentinel, err := newServer(t.TempDir(), "--sentinel")
	if err != nil {
		t.Fatal(err)
	}
	sentinel.config = filepath.Join(sentinel.Dir, "sentinel.conf") // where a Sentinel stores what it knows
	text := fmt.Sprintf(`sentinel monitor %[1]s %[2]s %[3]s %[4]d
sentinel down-after-milliseconds %[1]s 60000
sentinel failover-timeout %[1]s 3000
`, MasterName, host, port, quorum)
	if err := os.WriteFile(sentinel.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := sentinel.startAnywhere(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sentinel.Kill)
	return sentinel
}

func knows(ctx context.Context, sentinel *Server, replicas, others int) bool {
	client := redis.NewSentinelClient(&redis.Options{Addr: sentinel.Addr})
	defer func() { _ = client.Close() }() // it has done its work
	found, err := client.Replicas(ctx, MasterName).Result()
	if err != nil || len(found) != replicas || found[0]["master-link-status"] != "ok" {
		return false
	}
	sentinels, err := client.Sentinels(ctx, MasterName).Result()
	return err == nil && len(sentinels) == others
}

// Addresses are those of the Sentinels.
func (s *Sentinels) Addresses() []string { return addresses(s.Sentinels) }

// Alert makes the Sentinels let the replica take over after half a second of silence.
func (s *Sentinels) Alert(t testing.TB) {
	t.Helper()
	for _, sentinel := range s.Sentinels {
		Alert(t, sentinel)
	}
}

// Failover makes the replica take over although the master runs.
func (s *Sentinels) Failover(t testing.TB) {
	t.Helper()
	client := redis.NewSentinelClient(&redis.Options{Addr: s.Sentinels[0].Addr})
	defer func() { _ = client.Close() }() // it has done its work
	if err := client.Failover(t.Context(), MasterName).Err(); err != nil {
		t.Fatal(err)
	}
}

// AwaitMaster waits until a server is the master, and one of the Sentinels says so.
func (s *Sentinels) AwaitMaster(t testing.TB, master *Server) {
	t.Helper()
	await(t, "the Sentinels to name the other master", func(ctx context.Context) bool {
		for _, sentinel := range slices.Backward(s.Sentinels) {
			if named, err := masterOf(ctx, sentinel); err == nil && named == master.Addr {
				return roleOf(ctx, master) == "master"
			}
		}
		return false
	})
}

// AwaitReplica waits until a server has become a replica: until then, it takes writes that
// nobody will have.
func (s *Sentinels) AwaitReplica(t testing.TB, replica *Server) {
	t.Helper()
	await(t, "the old master to become a replica", func(ctx context.Context) bool { return roleOf(ctx, replica) == "slave" })
}

func roleOf(ctx context.Context, s *Server) any {
	role, err := ask(ctx, s, func(ctx context.Context, c *redis.Client) ([]any, error) { return c.Do(ctx, "ROLE").Slice() })
	if err != nil || len(role) == 0 {
		return nil
	}
	return role[0]
}

func masterOf(ctx context.Context, sentinel *Server) (string, error) {
	client := redis.NewSentinelClient(&redis.Options{Addr: sentinel.Addr, DialTimeout: askTimeout, ReadTimeout: askTimeout, DialerRetries: 1, MaxRetries: -1})
	defer func() { _ = client.Close() }() // it has done its work
	address, err := client.GetMasterAddrByName(ctx, MasterName).Result()
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(address[0], address[1]), nil
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
