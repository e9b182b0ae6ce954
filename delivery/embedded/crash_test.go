package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// asWorker is an environment variable that makes this program a worker: it works on the
// store in its working directory until it is killed, or kills itself after that many calls
// unless that is 0.
const asWorker = "WEBHOOKS_TEST_WORKER"

func TestMain(m *testing.M) {
	if calls, err := strconv.Atoi(os.Getenv(asWorker)); err == nil {
		fmt.Fprintln(os.Stderr, work(".", calls))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// work accepts events and completes most of them, in several goroutines, and prints what
// was acknowledged. Events that it finds in the store count as acknowledged, too, since a
// repeated call would have been told that they are there.
func work(folder string, calls int) error {
	s := newKilled(folder)
	if err := s.Open(context.Background()); err != nil {
		return err
	}
	w, version, err := workWebhook(s)
	if err != nil {
		return err
	}
	if err := sayKnown(s); err != nil {
		return err
	}
	failed, answered := make(chan error), make(chan struct{})
	for range 4 {
		go func() {
			for {
				if err := workOnce(s, w, version); err != nil {
					failed <- err
				}
				answered <- struct{}{}
			}
		}()
	}
	for n := 1; ; n++ {
		select {
		case err := <-failed:
			return err
		case <-answered:
		}
		if n == calls {
			self, err := os.FindProcess(os.Getpid())
			return errors.Join(err, self.Kill())
		}
	}
}

// workWebhook finds the webhook that all events go to, or creates it.
func workWebhook(s *Store) (*delivery.Webhook, int64, error) {
	webhooks, version, err := storetest.Webhooks(context.Background(), s, crashTenant)
	if err != nil {
		return nil, 0, err
	}
	if len(webhooks) > 0 {
		return webhooks[0], version, nil
	}
	w := delivery.Webhook{Tenant: crashTenant, ID: delivery.NewID(s.Now()), URL: "https://example.com", Enabled: true}
	return &w, 1, s.CreateWebhook(context.Background(), &w, delivery.MaxWebhooks)
}

// sayKnown prints which events are in the store.
func sayKnown(s *Store) error {
	var said strings.Builder
	err := s.read(func(v *view) error {
		return v.tx.Bucket(idsBucket).ForEach(func(k, _ []byte) error {
			fmt.Fprintf(&said, "event %s\n", uuid.UUID(k[4:]))
			return nil
		})
	})
	_, writing := os.Stdout.WriteString(said.String())
	return errors.Join(err, writing)
}

// newKilled makes a store with a small journal, so that it is also killed during
// checkpoints.
func newKilled(folder string) *Store {
	s := New(folder)
	s.journalSize = 128 << 10
	return s
}

const crashTenant = "load-0"

func workOnce(s *Store, w *delivery.Webhook, version int64) error {
	call := delivery.AcceptCall{Tenant: crashTenant, Version: version, Nonce: uuid.New()}
	for range 1 + rand.IntN(8) {
		call.Events = append(call.Events, delivery.AcceptEvent{
			ID: delivery.NewID(s.Now()), Type: "alert_active", Payload: make([]byte, rand.IntN(8000)),
			Targets: []delivery.Target{{Webhook: w.ID, Lease: true}},
		})
	}
	result := s.Accept(context.Background(), delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Lease: time.Hour, Retention: 24 * time.Hour})[0]
	if result.Err != nil {
		return result.Err
	}
	var said strings.Builder
	var outcomes []delivery.Outcome
	for i := range call.Events {
		fmt.Fprintf(&said, "event %s\n", call.Events[i].ID)
		if rand.IntN(3) > 0 {
			o := outcome(s, &delivery.AcceptCall{Tenant: crashTenant, Events: call.Events[i:]}, &result)
			outcomes = append(outcomes, o)
		}
	}
	if _, err := os.Stdout.WriteString(said.String()); err != nil {
		return err
	}
	if err := errors.Join(s.Complete(context.Background(), outcomes)...); err != nil {
		return err
	}
	said.Reset()
	for i := range outcomes {
		fmt.Fprintf(&said, "request %s\n", outcomes[i].Request.ID)
	}
	_, err := os.Stdout.WriteString(said.String())
	return err
}

// acknowledged is what a worker said was acknowledged.
type acknowledged struct {
	events, requests map[uuid.UUID]bool
}

func newAcknowledged() *acknowledged {
	return &acknowledged{events: make(map[uuid.UUID]bool), requests: make(map[uuid.UUID]bool)}
}

// add reads a worker's output, whose last line may have been cut off.
func (a *acknowledged) add(said string) {
	for line := range strings.Lines(said) {
		kind, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		id, err := uuid.Parse(text)
		switch {
		case err != nil || !strings.HasSuffix(line, "\n"):
		case kind == "event":
			a.events[id] = true
		default:
			a.requests[id] = true
		}
	}
}

// TestKill kills a process that works on the store, again and again, at random moments:
// everything that was acknowledged must be there.
func TestKill(t *testing.T) {
	t.Parallel()
	const kills = 25
	folder := t.TempDir()
	said := newAcknowledged()
	within := 40 * time.Millisecond
	for run := 0; run < kills || len(said.events) < kills || len(said.requests) < kills; run++ {
		if run >= kills {
			within *= 2 // the machine or its disk is busy
		}
		said.add(workAndKill(t, folder, within))
		said.check(t, folder)
	}
	t.Logf("%d events and %d requests were acknowledged", len(said.events), len(said.requests))
}

// workAndKill runs the worker, kills it within a time after it has begun to work, and returns
// its output.
func workAndKill(t *testing.T, folder string, within time.Duration) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Dir, cmd.Env = folder, append(os.Environ(), asWorker+"=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(stdout)
	first, err := out.ReadString('\n') // it works
	var rest []byte
	var reading sync.WaitGroup
	reading.Go(func() { rest, _ = io.ReadAll(out) })
	time.Sleep(rand.N(within))
	killed := cmd.Process.Kill()
	reading.Wait()
	_ = cmd.Wait() // it was killed
	if err != nil || killed != nil {
		t.Fatalf("%v, %v: %s", err, killed, stderr.String())
	}
	return first + string(rest)
}

// check checks that a folder has all that was acknowledged, and nothing in part.
func (a *acknowledged) check(t *testing.T, folder string) {
	t.Helper()
	s := newKilled(folder)
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	for id := range a.events {
		_, deliveries, err := s.Event(t.Context(), crashTenant, id)
		if err != nil || len(deliveries) != 1 {
			t.Fatalf("an accepted event: %v, %+v", err, deliveries)
		}
	}
	for id := range a.requests {
		r, err := s.Request(t.Context(), crashTenant, id)
		if err != nil || r.RequestBody == nil {
			t.Fatalf("a request that was logged: %v", err)
		}
	}
	var pending int64
	var damage []error
	checkpoint(t, s)
	err := s.read(func(v *view) error {
		pending = int64(v.tx.Bucket(pendingBucket).Stats().KeyN)
		for err := range v.tx.Check() { // checks every page
			damage = append(damage, err)
		}
		return nil
	})
	if err != nil || len(damage) > 0 {
		t.Fatalf("the file: %v, %v", err, errors.Join(damage...))
	}
	if n, err := s.Pending(t.Context()); err != nil || n != pending {
		t.Fatalf("%d pending in memory, %v, %d in the file", n, err, pending)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
