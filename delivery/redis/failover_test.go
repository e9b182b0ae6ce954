package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// soon is far less than the minute after which go-redis reads a Cluster's topology by itself,
// and more than a busy machine needs.
const soon = 20 * time.Second

// TestClusterFailover kills a primary, and then stops one without ending it. Tenants of other
// primaries notice nothing, and soon after the replica has taken over so does nobody else.
func TestClusterFailover(t *testing.T) {
	cluster := redistest.StartReplicated(t, 3, 2*time.Second, "--cluster-require-full-coverage", "no")
	o := options()
	o.Addresses = cluster.Addresses()
	s := open(t, o)
	hurt, well := tenantsApart(t, s, cluster)
	hurt.webhook, well.webhook = addWebhook(t, s, hurt.tenant), addWebhook(t, s, well.tenant)
	f, err := s.Follow(t.Context(), hurt.tenant, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	for _, fault := range []struct {
		name  string
		begin func(*redistest.Server) error
		end   func(*redistest.Server) error
	}{
		{"kill -9", func(s *redistest.Server) error { s.Kill(); return nil }, (*redistest.Server).Restart},
		{"SIGSTOP", (*redistest.Server).Freeze, (*redistest.Server).Thaw},
	} {
		wantNext(t, f, logged(t, s, hurt.webhook))
		replicated(t, s, hurt.base)
		old := cluster.Primary(t, hurt.base)
		served, call := serve(s, well.webhook), newCall(s, hurt.webhook, 1, 10, false)
		begun := time.Now()
		if err := fault.begin(old); err != nil {
			t.Fatal(err)
		}
		accepted := firstAccepted(t, s, call)
		cluster.AwaitFailover(t, hurt.base, old)
		over := time.Now()
		late := max(0, accepted().Sub(over))
		t.Logf("%s: the Cluster was well after %.1f s, the first event of the shard was accepted %.1f s later",
			fault.name, over.Sub(begun).Seconds(), late.Seconds())
		if late > soon {
			t.Errorf("%s: the first event was accepted only %s after the failover", fault.name, late)
		}
		if n, err := served(); err != nil || n < 10 {
			t.Errorf("%s: of the other tenant, %d events were accepted, then %v", fault.name, n, err)
		}
		row := logged(t, s, hurt.webhook)
		wantNext(t, f, row)
		t.Logf("%s: a follower went on %.1f s after the failover", fault.name, time.Since(over).Seconds())
		if err := fault.end(old); err != nil {
			t.Fatal(err)
		}
		cluster.AwaitReplicas(t)
	}
}

// tenantOf is a tenant and its partition.
type tenantOf struct {
	tenant, base string
	webhook      *delivery.Webhook
}

// tenantsApart finds two tenants whose partitions are on different primaries.
func tenantsApart(t *testing.T, s *Store, cluster *redistest.Cluster) (a, b tenantOf) {
	t.Helper()
	var first *redistest.Server
	for i := range 1000 {
		p, err := s.at(fmt.Sprint("tenant", i))
		if err != nil {
			t.Fatal(err)
		}
		found := tenantOf{tenant: fmt.Sprint("tenant", i), base: p.base}
		switch primary := cluster.Primary(t, p.base); {
		case first == nil:
			a, first = found, primary
		case primary != first:
			return a, found
		}
	}
	t.Fatal("all tenants are on one primary")
	return a, b
}

// replicated waits until the replica has what was written to a partition.
func replicated(t *testing.T, s *Store, base string) {
	t.Helper()
	node, err := nodeOf(t.Context(), s.client(), base)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the replica has everything", func() error {
		pipe := node.Pipeline()
		pipe.Set(t.Context(), base+"test", "", time.Minute) // WAIT waits for what this connection wrote
		wait := pipe.Do(t.Context(), "WAIT", 1, 2000)
		_, err := pipe.Exec(t.Context())
		if n, _ := wait.Int(); err == nil && n == 0 {
			err = errors.New("no replica has it")
		}
		return err
	})
}

// anew is a call with other events.
func anew(call delivery.AcceptCall) delivery.AcceptCall {
	call.Nonce = uuid.New()
	call.Events = slices.Clone(call.Events)
	for i := range call.Events {
		call.Events[i].ID = uuid.New()
	}
	return call
}

// acceptWithin is an Accept as the engine makes it.
func acceptWithin(s *Store, call delivery.AcceptCall) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return s.Accept(ctx, delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Lease: testLease, Retention: testRetention})[0].Err
}

// firstAccepted tries to emit until it can. The function that it returns says when that was.
func firstAccepted(t *testing.T, s *Store, call delivery.AcceptCall) func() time.Time {
	accepted := make(chan time.Time, 1)
	go func() {
		for acceptWithin(s, call) != nil && t.Context().Err() == nil {
			time.Sleep(20 * time.Millisecond)
		}
		accepted <- time.Now()
	}()
	return func() time.Time {
		select {
		case at := <-accepted:
			return at
		case <-time.After(2 * time.Minute):
			t.Fatal("nothing is accepted")
			return time.Time{}
		}
	}
}

// serve emits again and again, until the function that it returns is called, or an event is
// refused.
func serve(s *Store, w *delivery.Webhook) (end func() (accepted int, err error)) {
	var (
		group sync.WaitGroup
		n     int
		err   error
	)
	stop, call := make(chan struct{}), newCall(s, w, 1, 10, false)
	group.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
			if err = acceptWithin(s, anew(call)); err != nil {
				return
			}
			n++
		}
	})
	return func() (int, error) {
		close(stop)
		group.Wait()
		return n, err
	}
}
