package redis

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// name stands for a name in DNS: new connections lead to the server to which it points, and
// those that are open stay where they are.
type name struct {
	address string
	points  atomic.Pointer[redistest.Server]
}

func newName(t *testing.T, server *redistest.Server) *name {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &name{address: listener.Addr().String()}
	n.points.Store(server)
	var relays sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		relays.Wait()
	})
	relays.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			relays.Go(func() { relay(client, n.points.Load().Addr) })
		}
	})
	return n
}

// relay copies what both sides say until one of them ends.
func relay(client net.Conn, address string) {
	server, err := net.Dial("tcp", address)
	if err != nil {
		client.Close()
		return
	}
	var copying sync.WaitGroup
	for to, from := range map[net.Conn]net.Conn{client: server, server: client} {
		copying.Go(func() {
			_, _ = io.Copy(to, from) // until one of them ends
			to.Close()
			from.Close()
		})
	}
	copying.Wait()
}

// TestNameMoves lets a name point to the replica, which has taken over. The old primary keeps
// its connections: as a replica that refuses writes, or while it hangs.
func TestNameMoves(t *testing.T) {
	for _, test := range []struct {
		name string
		old  func(t *testing.T, old, now *redistest.Server)
	}{
		{"the old primary is a replica", func(t *testing.T, old, now *redistest.Server) { replicate(t, old, now) }},
		{"the old primary hangs", func(t *testing.T, old, _ *redistest.Server) {
			if err := old.Freeze(); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			old := redistest.Start(t, "--repl-diskless-sync-delay", "0")
			now := redistest.Start(t)
			n := newName(t, old)
			replicate(t, now, old)
			o := options()
			o.Addresses = []string{n.address}
			s := open(t, o)
			w := addWebhook(t, s, testTenant)
			f := following(t, s, "")
			wantNext(t, f, logged(t, s, w))
			p, err := s.at(testTenant)
			if err != nil {
				t.Fatal(err)
			}
			replicated(t, s, p.base)
			call := newCall(s, w, 1, 10, false)
			connectOften(t, s, old, call)

			if err := asRoot(t, now).Do(t.Context(), "REPLICAOF", "NO", "ONE").Err(); err != nil {
				t.Fatal(err)
			}
			test.old(t, old, now)
			n.points.Store(now)
			if accept(s, call).Err == nil {
				t.Error("the old primary accepted an event")
			}
			// Every other connection leads to the old primary, too.
			mustAccept(t, s, call)
			wantNext(t, f, logged(t, s, w))
		})
	}
}

func replicate(t *testing.T, replica, primary *redistest.Server) {
	t.Helper()
	host, port, _ := net.SplitHostPort(primary.Addr)
	if err := asRoot(t, replica).Do(t.Context(), "REPLICAOF", host, port).Err(); err != nil {
		t.Fatal(err)
	}
}

// connectOften has the store open several connections, and leaves them idle.
func connectOften(t *testing.T, s *Store, server *redistest.Server, call delivery.AcceptCall) {
	t.Helper()
	const connections = 5
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	var calls sync.WaitGroup
	for range connections {
		calls.Go(func() {
			if err := accept(s, anew(call)).Err; err != nil {
				t.Error(err)
			}
		})
	}
	pool := s.client().(*redis.Client)
	eventually(t, "all calls have a connection", func() error {
		if n := pool.PoolStats().TotalConns; n < connections {
			return countJobs(nil, connections-int(n))
		}
		return nil
	})
	if err := server.Thaw(); err != nil {
		t.Fatal(err)
	}
	calls.Wait()
}
