package redis

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// TestWaitReplicas stops the replica that has to confirm what is accepted.
func TestWaitReplicas(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t, "--repl-diskless-sync-delay", "0")
	replica := redistest.Start(t)
	replicate(t, replica, primary)
	o := options()
	o.Addresses, o.WaitReplicas, o.WaitTimeout = []string{primary.Addr}, 1, 200*time.Millisecond
	testConfirmed(t, o, replica)
}

// TestWaitReplicasInCluster does the same in a Cluster, where WAIT has no key that would lead
// it to a node.
func TestWaitReplicasInCluster(t *testing.T) {
	cluster := redistest.StartReplicated(t, 3, time.Minute)
	o := options()
	o.Addresses, o.WaitReplicas, o.WaitTimeout = cluster.Addresses(), 1, 200*time.Millisecond
	s := open(t, o)
	p, err := s.at(testTenant)
	if err != nil {
		t.Fatal(err)
	}
	testConfirmed(t, o, cluster.Replica(t, p.base))
}

func testConfirmed(t *testing.T, o Options, replica *redistest.Server) {
	t.Helper()
	s := open(t, o)
	w := addWebhook(t, s, testTenant)
	eventually(t, "the replica confirms an event", func() error { return accept(s, newCall(s, w, 1, 10, false)).Err })
	if err := replica.Freeze(); err != nil {
		t.Fatal(err)
	}
	call := newCall(s, w, 2, 10, false)
	again := call // by the emitter, with the same ids
	again.Nonce = delivery.NewID(s.Now())
	other := open(t, o) // with connections that have written nothing
	for _, try := range []struct {
		what string
		of   *Store
		call delivery.AcceptCall
	}{{"the first time", s, call}, {"repeated", s, call}, {"repeated on another connection", other, call}, {"sent again", other, again}} {
		err := accept(try.of, try.call).Err
		if err == nil || errors.Is(err, delivery.ErrUnavailable) || errors.Is(err, delivery.ErrFull) || !strings.Contains(err.Error(), "0 of 1 replicas") {
			t.Errorf("%s, without a replica: %v", try.what, err)
		}
	}
	if err := s.Ping(t.Context(), s.Partition(testTenant)); err == nil || !strings.Contains(err.Error(), "0 of 1 replicas") {
		t.Errorf("it would accept events: %v", err)
	}
	if err := replica.Thaw(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the replica confirms again", func() error { return accept(s, call).Err })
	o.WaitTimeout = maxWaitTimeout // a busy machine may need more than before
	patient := open(t, o)
	if err := patient.Ping(t.Context(), 0); err != nil {
		t.Errorf("it would not accept events: %v", err)
	}
	for i, e := range mustAccept(t, patient, call).Events {
		if !e.Repeated || e.Deliveries != 1 {
			t.Errorf("event %d: %+v", i, e)
		}
	}
	// Newer servers wait only for what the connection wrote.
	p, err := s.at(testTenant)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.client().Exists(t.Context(), waitedKey(p.base)).Result(); err != nil || n != 1 {
		t.Errorf("there is nothing to wait for: %d, %v", n, err)
	}
	for i, e := range mustAccept(t, patient, again).Events {
		if !e.Duplicate {
			t.Errorf("event %d, sent again: %+v", i, e)
		}
	}
}

// TestWaitReplicasFailover emits while a replica takes over from a master that runs, and takes
// writes until it hears of that. Without WaitReplicas, some of these events are lost.
func TestWaitReplicasFailover(t *testing.T) {
	t.Parallel()
	group := redistest.StartSentinels(t, 1)
	o := options()
	o.Addresses, o.SentinelMaster, o.WaitReplicas = group.Addresses(), redistest.MasterName, 1
	s := open(t, o)
	w := addWebhook(t, s, testTenant)
	var (
		emitters sync.WaitGroup
		mu       sync.Mutex
		accepted []uuid.UUID
	)
	stop, first := make(chan struct{}), newCall(s, w, 1, 10, false)
	for range 4 {
		emitters.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				call := anew(first)
				if acceptWithin(s, call) == nil {
					mu.Lock()
					accepted = append(accepted, call.Events[0].ID)
					mu.Unlock()
				}
			}
		})
	}
	group.Failover(t)
	group.AwaitMaster(t, group.Replica)
	group.AwaitReplica(t, group.Master)
	close(stop)
	emitters.Wait()
	lost := 0
	for _, id := range accepted {
		_, _, err := s.Event(t.Context(), testTenant, id)
		if errors.Is(err, delivery.ErrNotFound) {
			lost++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d events were accepted", len(accepted))
	if lost > 0 {
		t.Errorf("%d of %d events that were accepted are lost", lost, len(accepted))
	}
}
