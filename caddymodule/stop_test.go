package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// TestStop ends Caddy with requests in flight. Those that end soon are let
// finish and are logged; those that do not are broken off, logged too, and count
// as no attempt: the next Caddy makes it, at once.
func TestStop(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*stopper) error{
		"SIGTERM":    func(s *stopper) error { return s.child.Signal(syscall.SIGTERM) },
		"caddy stop": func(s *stopper) error { return caddyCommand(s.t, "stop", "--address", s.admin).Run() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testStop(t, stop)
		})
	}
}

func testStop(t *testing.T, stop func(*stopper) error) {
	redis := redistest.Start(t)
	endpoint := newReceiver(t)
	s := newStopper(t, endpoint, redis.Addr)
	s.start()
	s.subscribe(endpoint.URL+"/slow", "group_created")
	s.subscribe(endpoint.URL+"/hangs", "group_updated")
	finish, endHang := endpoint.hold("/slow"), endpoint.hold("/hangs")
	slow, hanging := s.emit("group_created"), s.emit("group_updated")
	for range 2 {
		endpoint.next(t)
	}

	began := time.Now()
	stopped := make(chan error, 1)
	go func() { stopped <- stop(s) }() // caddy stop waits
	s.awaitLog("exiting")
	finish()
	s.ended()
	t.Logf("ended after %s", time.Since(began))
	if err := <-stopped; err != nil {
		t.Error(err)
	}

	endHang()
	s.start() // the lease would last for minutes
	var again event
	if err := json.Unmarshal(endpoint.next(t).body, &again); err != nil || again.EventID != hanging {
		t.Errorf("%s was sent, %v; want %s", again.EventID, err, hanging)
	}
	for id, rows := range map[string]int{slow: 1, hanging: 2} {
		if row := s.site.requests("event_id="+id, rows)[0]; *row.Attempt != 1 || row.Trigger != "event" || row.Status != "success" {
			t.Errorf("got %+v", row)
		}
	}
	broken := s.site.requests("event_id="+hanging, 2)[1]
	if *broken.Attempt != 1 || broken.Status != "failed" || broken.StatusCode != nil || !strings.Contains(broken.Error, "this server stopped") || broken.NextAttemptAt != nil {
		t.Errorf("what was broken off is %+v", broken)
	}
	if n := len(endpoint.got); n > 0 {
		t.Errorf("%d requests too many", n)
	}
}

// TestStopWhileStoreAway ends Caddy while it cannot write the outcomes of
// requests: it does not wait for the store.
func TestStopWhileStoreAway(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func(*testing.T, *redistest.Server){
		"gone": func(_ *testing.T, redis *redistest.Server) { redis.Kill() },
		"frozen": func(t *testing.T, redis *redistest.Server) {
			t.Helper()
			if err := redis.Freeze(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := redistest.Start(t)
			endpoint := newReceiver(t)
			s := newStopper(t, endpoint, redis.Addr)
			s.start()
			s.subscribe(endpoint.URL, "group_created")
			finish := endpoint.hold("/")
			s.emit("group_created")
			endpoint.next(t)
			away(t, redis)
			finish()
			began := time.Now()
			if err := s.child.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			s.ended()
			t.Logf("ended after %s", time.Since(began))
		})
	}
}

// stopper is a Caddy in a process of its own, that can be stopped.
type stopper struct {
	crasher

	admin string // the address of Caddy's admin endpoint
	site  *caddySite
}

func newStopper(t *testing.T, endpoint *receiver, redisAddr string) *stopper {
	t.Helper()
	return newStopperOf(t, endpoint, "redis redis://"+redisAddr)
}

func newStopperOf(t *testing.T, endpoint *receiver, store string) *stopper {
	t.Helper()
	dir := t.TempDir()
	admin := freeAddr(t)
	site := &caddySite{t: t, addr: freeAddr(t), log: filepath.Join(dir, "caddy.log")}
	text := site.caddyfile(siteConfig{webhooks: "timeout 10m\n" + endpoint.configOf(store)})
	config := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(config, []byte(strings.Replace(text, "admin off", "admin "+admin, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &stopper{crasher: crasher{t: t, addr: site.addr, config: config, log: filepath.Join(dir, "output")}, admin: admin, site: site}
	t.Cleanup(s.kill)
	return s
}

func (s *stopper) subscribe(url, eventType string) {
	s.t.Helper()
	s.site.admin(http.MethodPost, "api/webhooks", fmt.Sprintf(`{"url":%q,"event_types":[%q]}`, url, eventType)).want(s.t, http.StatusCreated, nil)
}

func (s *stopper) emit(eventType string) (id string) {
	s.t.Helper()
	var r receipt
	s.site.emit(fmt.Sprintf(`{"event_type":%q,"data":{}}`, eventType)).want(s.t, http.StatusAccepted, &r)
	return r.EventID
}

// awaitLog waits until Caddy has logged a text.
func (s *stopper) awaitLog(text string) {
	s.t.Helper()
	eventually(s.t, "Caddy to log "+text, func() bool {
		log, err := os.ReadFile(s.site.log)
		return err == nil && strings.Contains(string(log), text)
	})
}

// ended waits until Caddy has ended by itself.
func (s *stopper) ended() {
	s.t.Helper()
	select {
	case <-s.child.Done:
	case <-time.After(patience):
		s.t.Fatal("Caddy did not end")
	}
	if got := s.child.Err.Error(); got != "exit status 0" {
		s.t.Errorf("Caddy ended with %s: %s", got, s.child.Tail())
	}
}
