package caddymodule_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webhooks/caddy-webhooks/caddymodule"
)

func init() { caddy.RegisterModule(failingApp{}) }

// failingApp is one that keeps configurations from coming into force.
type failingApp struct{}

// whileStarting is called when it is started, among the other apps in any order.
var whileStarting func()

func (failingApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "webhooks_test_failing", New: func() caddy.Module { return new(failingApp) }}
}

func (failingApp) Start() error {
	whileStarting()
	return errors.New("this app fails")
}

func (failingApp) Stop() error { return nil }

// loadFailing loads a configuration with an app that fails.
func (s *caddySite) loadFailing(c siteConfig) {
	s.t.Helper()
	var all map[string]any
	if err := json.Unmarshal(adaptFile(s.t, s.caddyfile(c)), &all); err != nil {
		s.t.Fatal(err)
	}
	apps, _ := all["apps"].(map[string]any)
	apps["webhooks_test_failing"] = struct{}{}
	broken, err := json.Marshal(all)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := caddy.Load(broken, true); err == nil || !strings.Contains(err.Error(), "this app fails") {
		s.t.Fatalf("the load ended with %v", err)
	}
}

// TestEmitWhileLoadFails has a request answered while a configuration with another store starts,
// which is taken back then: the event is in the store of the one that stays.
func TestEmitWhileLoadFails(t *testing.T) {
	s := startEmitSite(t, product(t), "", "webhooks_emit /created device_created\nreverse_proxy $product")
	other := s.config
	other.webhooks = s.endpoint.configOf("embedded " + t.TempDir())
	var asked bool
	var failed error
	whileStarting = func() { // it must not end the test, which would leave Caddy locked
		if caddymodule.GatewayApps() < 2 {
			return // the other app starts later
		}
		asked = true
		var res *http.Response
		if res, failed = http.Post("http://"+s.addr+"/created", "application/json", strings.NewReader("{}")); failed != nil {
			return
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		for range 100 {
			time.Sleep(10 * time.Millisecond)
			if caddymodule.GatewayWaiting() == 0 {
				return
			}
		}
	}
	for tries := 0; !asked; tries++ {
		if tries == 100 {
			t.Fatal("the apps never started in the order that is needed")
		}
		s.loadFailing(other)
	}
	if failed != nil {
		t.Fatal(failed)
	}
	if ev := s.event(); ev.Type != "device_created" {
		t.Errorf("got %+v", ev)
	}
}
