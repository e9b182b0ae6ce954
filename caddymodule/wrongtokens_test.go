package caddymodule_test

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/caddymodule"
)

// TestWrongTokens guesses tokens, behind a proxy that Caddy trusts. Wrong ones of an address
// are soon 429, where they would be 401. Everything else goes on as if nothing was, right
// tokens of the same address too.
func TestWrongTokens(t *testing.T) {
	caddymodule.ForgetWrongTokens()
	t.Cleanup(caddymodule.ForgetWrongTokens)
	s := startSite(t, siteConfig{
		webhooks: "store embedded " + t.TempDir(), more: "metrics /metrics",
		global: "servers {\n\t\ttrusted_proxies static 127.0.0.0/8\n\t}",
	})
	s.ready()
	metrics := "http://" + s.addr + "/metrics"
	before := scrape(t, metrics)
	n := 0
	guess := func(from, method, path string, headers ...string) reply {
		t.Helper()
		n++
		return s.do(method, "/hooks/"+path, "", append([]string{"X-Forwarded-For", from, "Authorization", fmt.Sprint("Bearer guess-", n)}, headers...)...)
	}
	const address, neighbour, network = "192.0.2.1", "192.0.2.2", "2001:db8::"
	for i := range 10 {
		guess(address, "GET", "api/webhooks").wantProblem(t, http.StatusUnauthorized)
		guess(network+strconv.Itoa(i), "GET", "api/webhooks").wantProblem(t, http.StatusUnauthorized)
	}
	for _, from := range []string{address, network + "ffff"} {
		got := guess(from, "GET", "api/webhooks")
		got.wantProblem(t, http.StatusTooManyRequests)
		if after, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || after < 1 || after > 300 {
			t.Errorf("Retry-After is %q", got.header.Get("Retry-After"))
		}
		if offers := got.header.Values("WWW-Authenticate"); offers != nil {
			t.Errorf("429 offers %q", offers)
		}
	}
	guess(address, "GET", "api/nothing").wantProblem(t, http.StatusNotFound)
	guess(address, "PUT", "api/webhooks").wantProblem(t, http.StatusMethodNotAllowed)
	guess(address, "POST", "api/events", "Origin", "https://evil.example").wantProblem(t, http.StatusForbidden)
	guess(address, "POST", "api/events").wantProblem(t, http.StatusTooManyRequests)
	guess(address, "GET", "api/health").want(t, http.StatusOK, nil)
	guess(neighbour, "GET", "api/webhooks").wantProblem(t, http.StatusUnauthorized)
	s.do("GET", "/hooks/api/webhooks", "", "X-Forwarded-For", address).wantProblem(t, http.StatusUnauthorized)
	s.do("GET", "/hooks/api/webhooks", "", "X-Forwarded-For", address, "Authorization", asBasic("any", emitToken)).wantProblem(t, http.StatusUnauthorized)
	s.admin("GET", "api/webhooks", "", "X-Forwarded-For", address).want(t, http.StatusOK, nil)
	s.admin("GET", "api/webhooks", "", "X-Forwarded-For", network+"ffff").want(t, http.StatusOK, nil)

	after := scrape(t, metrics)
	for code, want := range map[string]float64{"401": 21, "429": 7} {
		name := `wrong_tokens_total{code="` + code + `"}`
		if got := after[name] - before[name]; got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if got := s.warnings("many wrong tokens"); len(got) != 1 {
		t.Errorf("the log says so %d times", len(got))
	}
	// A reload forgets nothing.
	if err := s.load(siteConfig{webhooks: "store embedded " + t.TempDir(), global: "servers {\n\t\ttrusted_proxies static 127.0.0.0/8\n\t}"}); err != nil {
		t.Fatal(err)
	}
	s.ready()
	guess(address, "GET", "api/webhooks").wantProblem(t, http.StatusTooManyRequests)
}

// TestWrongTokensOfNoProxy guesses tokens, and says each time to come from elsewhere.
func TestWrongTokensOfNoProxy(t *testing.T) {
	caddymodule.ForgetWrongTokens()
	t.Cleanup(caddymodule.ForgetWrongTokens)
	s := startSite(t, siteConfig{webhooks: "store embedded " + t.TempDir()})
	for i := range 11 {
		got := s.do("GET", "/hooks/api/webhooks", "", "X-Forwarded-For", fmt.Sprint("192.0.2.", i), "Authorization", fmt.Sprint("Bearer guess-", i))
		want := http.StatusUnauthorized
		if i == 10 {
			want = http.StatusTooManyRequests
		}
		got.wantProblem(t, want)
	}
}

// TestManyWrongTokens guesses thousands of tokens from one address, as fast as it can. Nearly
// all are 429, nothing is kept of them, and a right token of the same address is never refused.
func TestManyWrongTokens(t *testing.T) {
	caddymodule.ForgetWrongTokens()
	t.Cleanup(caddymodule.ForgetWrongTokens)
	s := startSite(t, siteConfig{webhooks: "store embedded " + t.TempDir()})
	s.ready()
	const guesses, atOnce = 5000, 8
	before := heap()
	var statuses [atOnce]map[int]int
	var all sync.WaitGroup
	for i := range statuses {
		statuses[i] = make(map[int]int)
		all.Go(func() {
			for n := range guesses / atOnce {
				got, err := try("GET", "http://"+s.addr+"/hooks/api/webhooks", "", "Authorization", fmt.Sprint("Bearer guess-", i, "-", n))
				if err != nil {
					t.Error(err)
					return
				}
				statuses[i][got.status]++
				if n%100 > 0 {
					continue
				}
				if got, err := try("GET", "http://"+s.addr+"/hooks/api/webhooks", "", "Authorization", "Bearer "+adminToken); err != nil || got.status != http.StatusOK {
					t.Errorf("a right token: %d, %v", got.status, err)
				}
			}
		})
	}
	all.Wait()
	wrong, refused := 0, 0
	for _, of := range statuses {
		wrong, refused = wrong+of[http.StatusUnauthorized], refused+of[http.StatusTooManyRequests]
	}
	if wrong < 10 || refused < guesses-100 || wrong+refused != guesses {
		t.Errorf("%d wrong tokens are 401, and %d 429", wrong, refused)
	}
	if kept := heap() - before; kept > 32<<20 {
		t.Errorf("%d MiB are kept", kept>>20)
	}
}
