package redis

import (
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// TestSentinelFailover lets the master hang, or the Sentinel that the store asks with it, or
// makes a replica of the master while it runs.
func TestSentinelFailover(t *testing.T) {
	for _, test := range []struct {
		name  string
		fault func(t *testing.T, group *redistest.Sentinels)
	}{
		{"SIGSTOP of the master", func(t *testing.T, group *redistest.Sentinels) {
			group.Alert(t)
			freeze(t, group.Master)
			group.AwaitMaster(t, group.Replica)
		}},
		{"SIGSTOP of the master and of the Sentinel", func(t *testing.T, group *redistest.Sentinels) {
			group.Alert(t)
			freeze(t, group.Sentinels[0], group.Master)
			group.AwaitMaster(t, group.Replica)
		}},
		{"SENTINEL FAILOVER", func(t *testing.T, group *redistest.Sentinels) {
			group.Failover(t)
			group.AwaitMaster(t, group.Replica)
			group.AwaitReplica(t, group.Master)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			group := redistest.StartSentinels(t, 3)
			s := openWith(t, group)
			w := addWebhook(t, s, testTenant)
			f := following(t, s, "")
			wantNext(t, f, logged(t, s, w))
			p, err := s.at(testTenant)
			if err != nil {
				t.Fatal(err)
			}
			replicated(t, s, p.base)

			begun, call := time.Now(), newCall(s, w, 1, 10, false)
			test.fault(t, group)
			over := time.Now()
			late := firstAccepted(t, s, call)().Sub(over)
			t.Logf("the replica was the master after %.1f s, the first event was accepted %.1f s later",
				over.Sub(begun).Seconds(), late.Seconds())
			if late > soon {
				t.Errorf("the first event was accepted only %s after the failover", late)
			}
			wantNext(t, f, logged(t, s, w))
			t.Logf("a follower went on %.1f s after the failover", time.Since(over).Seconds())
		})
	}
}

// openWith opens a store that asks the first of three Sentinels: it is the only one that runs
// at that time.
func openWith(t *testing.T, group *redistest.Sentinels) *Store {
	t.Helper()
	for _, other := range group.Sentinels[1:] {
		other.Kill()
	}
	o := options()
	o.Addresses, o.SentinelMaster = group.Addresses(), redistest.MasterName
	s := open(t, o)
	following(t, s, "") // both clients have a connection
	for _, other := range group.Sentinels[1:] {
		if err := other.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	group.AwaitSentinels(t)
	return s
}

func freeze(t *testing.T, servers ...*redistest.Server) {
	t.Helper()
	for _, s := range servers {
		if err := s.Freeze(); err != nil {
			t.Fatal(err)
		}
	}
}
