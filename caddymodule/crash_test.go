package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
	"github.com/caddy-webhooks/caddy-webhooks/internal/process"
)

const (
	crashes  = 6
	emitters = 4
)

// TestCrash kills Caddy at random moments under load. Every event that it has answered 202
// is delivered all the same: by the same Caddy, started again, or after the last crash by
// another one on the same store.
func TestCrash(t *testing.T) {
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		testCrash(t, "redis redis://"+redistest.Start(t).Addr)
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		testCrash(t, "embedded "+t.TempDir())
	})
}

func testCrash(t *testing.T, store string) {
	endpoint := newReceiver(t)
	first, second := newCrasher(t, endpoint, store), newCrasher(t, endpoint, store)
	first.start()
	got, err := try(http.MethodPost, first.url("webhooks"), fmt.Sprintf(`{"url":%q}`, endpoint.URL), "Authorization", asAdmin)
	if err != nil {
		t.Fatal(err)
	}
	got.want(t, http.StatusCreated, nil)

	events := acknowledged{missing: make(map[string]bool), arrived: make(map[string]bool)}
	for crash := range crashes {
		stop := make(chan struct{})
		var emitting sync.WaitGroup
		for range emitters {
			emitting.Go(func() { events.emitUntil(stop, first) })
		}
		time.Sleep(time.Duration(50+rand.IntN(300)) * time.Millisecond) // the moment is the point
		first.kill()
		close(stop)
		emitting.Wait()
		if crash < crashes-1 {
			first.start()
		}
	}
	if len(events.missing) == 0 {
		t.Fatal("no event was acknowledged")
	}
	t.Logf("%d events were acknowledged before %d crashes", len(events.missing), crashes)
	second.start()
	eventually(t, "all acknowledged events to arrive", func() bool { return events.haveArrived(t, endpoint) })
	second.kill()
}

// acknowledged keeps account of events that were answered 202.
type acknowledged struct {
	mu      sync.Mutex
	missing map[string]bool // the ids of those that have not arrived
	arrived map[string]bool // the ids of all events that have arrived
}

// emitUntil emits one event after the other until stop is closed.
func (a *acknowledged) emitUntil(stop <-chan struct{}, c *crasher) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		got, err := try(http.MethodPost, c.url("events"), `{"event_type":"alert_active","data":{}}`, "Authorization", asEmitter)
		var receipt struct {
			EventID string `json:"event_id"`
		}
		if err == nil && got.status == http.StatusAccepted && json.Unmarshal(got.body, &receipt) == nil {
			a.mu.Lock()
			a.missing[receipt.EventID] = true
			a.mu.Unlock()
		}
	}
}

// haveArrived takes what the endpoint has received, and reports whether no event is
// missing any more.
func (a *acknowledged) haveArrived(t *testing.T, endpoint *receiver) bool {
	t.Helper()
	for {
		select {
		case r := <-endpoint.got:
			var envelope struct {
				ID string `json:"event_id"`
			}
			if err := json.Unmarshal(r.body, &envelope); err != nil {
				t.Fatal(err)
			}
			a.arrived[envelope.ID] = true
		default:
			for id := range a.missing {
				if a.arrived[id] {
					delete(a.missing, id)
				}
			}
			return len(a.missing) == 0
		}
	}
}

// crasher is a Caddy in a process of its own, which can be killed.
type crasher struct {
	t      *testing.T
	addr   string
	config string
	log    string
	child  *process.Process // nil unless it runs
}

func newCrasher(t *testing.T, endpoint *receiver, store string) *crasher {
	t.Helper()
	// A lease lasts 15 s longer than the timeout. Requests in flight when Caddy is killed
	// are sent again after that time.
	return newCrasherWith(t, "timeout 1s\n"+endpoint.configOf(store))
}

// newCrasherWith is newCrasher with any lines in the webhooks global option.
func newCrasherWith(t *testing.T, options string) *crasher {
	t.Helper()
	dir := t.TempDir()
	site := &caddySite{t: t, addr: freeAddr(t), log: filepath.Join(dir, "caddy.log")}
	text := site.caddyfile(siteConfig{webhooks: options})
	config := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &crasher{t: t, addr: site.addr, config: config, log: filepath.Join(dir, "output")}
	t.Cleanup(c.kill)
	return c
}

func (c *crasher) url(call string) string { return "http://" + c.addr + "/hooks/api/" + call }

// start starts Caddy, and returns when it accepts events.
func (c *crasher) start() {
	c.t.Helper()
	var err error
	c.child, err = process.Start(caddyCommand(c.t, "run", "--adapter", "caddyfile", "--config", c.config), c.log)
	if err != nil {
		c.t.Fatal(err)
	}
	eventually(c.t, "Caddy to be ready", func() bool {
		got, err := try(http.MethodGet, c.url("health"), "")
		return err == nil && got.status == http.StatusOK
	})
}

// kill ends Caddy as kill -9 does.
func (c *crasher) kill() {
	if c.child != nil {
		c.child.Kill()
		c.child = nil
	}
}
