package caddymodule_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
	"github.com/caddy-webhooks/caddy-webhooks/internal/process"
)

// dashboardSite is a Caddy of its own, with the page at /hooks/ of any name below
// localhost: the name's first label is the tenant.
type dashboardSite struct {
	t       testing.TB
	browser *chromium
	addr    string
	caddy   *process.Process
	config  string
	client  *http.Client
	*answering
	tenants atomic.Int64
}

// answering is an endpoint that answers as its paths were told to.
type answering struct {
	url     string
	mu      sync.Mutex
	answers map[string]endpointAnswer
}

type endpointAnswer struct {
	status int
	body   string
	held   *held
}

// held is what an endpoint does not answer yet.
type held struct {
	asked chan struct{} // has one for each request that waits
	ready chan struct{} // is closed when they are answered
}

// tell sets what a path answers from now on.
func (a *answering) tell(path string, status int, body string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers[path] = endpointAnswer{status: status, body: body}
}

// hold has a path wait before it answers.
func (a *answering) hold(path string, status int) *held {
	a.mu.Lock()
	defer a.mu.Unlock()
	h := &held{asked: make(chan struct{}, 100), ready: make(chan struct{})}
	a.answers[path] = endpointAnswer{status: status, held: h}
	return h
}

func (a *answering) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	answer, ok := a.answers[r.URL.Path]
	a.mu.Unlock()
	if !ok {
		answer = endpointAnswer{status: http.StatusOK, body: `{"ok":true}`}
	}
	if answer.held != nil {
		_, _ = io.Copy(io.Discard, r.Body) // the server notices that a client is gone only then
		answer.held.asked <- struct{}{}
		select {
		case <-answer.held.ready:
		case <-r.Context().Done():
		}
	}
	w.WriteHeader(answer.status)
	fmt.Fprint(w, answer.body)
}

// dashboardStores are the stores that the page is tried with.
var dashboardStores = map[string]func(*testing.T) string{
	"embedded": func(t *testing.T) string { return "embedded " + t.TempDir() },
	"redis":    func(t *testing.T) string { return "redis redis://" + redistest.Start(t).Addr },
}

func startDashboardSite(t testing.TB, browser *chromium, store string, options ...string) *dashboardSite {
	t.Helper()
	a := &answering{answers: make(map[string]endpointAnswer)}
	server := httptest.NewTLSServer(a)
	t.Cleanup(server.Close)
	a.url = server.URL
	s := &dashboardSite{t: t, browser: browser, addr: freeAddr(t), answering: a}
	_, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	s.config = fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	webhooks {
		store %s
		%s
		retry {
			delay 2s
			jitter 0 0
		}
		destinations {
			allow 127.0.0.0/8
			trusted_ca %s
		}
	}
}
http://*.localhost:%s {
	bind 127.0.0.1
	handle_path /hooks* {
		webhooks {
			insecure_no_auth
			tenant {labels.1}
		}
	}
	handle_path /signed/* {
		webhooks {
			viewer_token viewer-token-of-the-tests
			admin_user {header.X-User}
			tenant {labels.1}
		}
	}
}
`, store, strings.Join(options, "\n"), startReceiver(t, false).ca, port) // all servers of httptest have one certificate
	// Whatever name it asks for is this machine.
	s.client = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.addr)
		},
	}}
	t.Cleanup(s.client.CloseIdleConnections)
	s.start()
	t.Cleanup(func() {
		if err := s.caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// start starts Caddy, for the first time or again.
func (s *dashboardSite) start() {
	s.t.Helper()
	binary, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	if s.caddy, err = process.StartCaddy(binary, s.t.TempDir(), []byte(s.config), asCaddy+"=1"); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "Caddy to be ready", func() bool {
		select {
		case <-s.caddy.Done:
			s.t.Fatalf("Caddy ended:\n%s", s.caddy.Tail())
		default:
		}
		got, err := tryWith(s.client, http.MethodGet, "http://ready.localhost/hooks/api/health", "")
		return err == nil && got.status == http.StatusOK
	})
}

// dashboard is a tab for a tenant, whom nothing of other tests concerns.
type dashboard struct {
	*tab
	site   *dashboardSite
	tenant string
}

// open makes a tab for a new tenant, which shows nothing yet.
func (s *dashboardSite) open(t testing.TB) *dashboard {
	t.Helper()
	return s.openAs(t, fmt.Sprintf("t%d", s.tenants.Add(1)))
}

func (s *dashboardSite) openAs(t testing.TB, tenant string) *dashboard {
	t.Helper()
	return &dashboard{newTab(t, s.browser), s, tenant}
}

// at is a URL of the tenant's host.
func (d *dashboard) at(path string) string {
	_, port, _ := strings.Cut(d.site.addr, ":")
	return fmt.Sprintf("http://%s.localhost:%s/%s", d.tenant, port, path)
}

// visit shows the page, with a fragment such as "#requests".
func (d *dashboard) visit(fragment string) {
	d.t.Helper()
	d.run(chromedp.Navigate(d.at("hooks/" + fragment)))
}

// call calls the API, which must answer with a status, and reads what matters of
// the answer into v.
func (d *dashboard) api(method, path, body string, status int, v any) {
	d.t.Helper()
	got, err := tryWith(d.site.client, method, d.at("hooks/api/"+path), body)
	if err != nil {
		d.t.Fatal(err)
	}
	got.want(d.t, status, nil)
	if v != nil {
		if err := json.Unmarshal(got.body, v); err != nil {
			d.t.Fatal(err)
		}
	}
}

// endpoint is a URL whose path is the tenant's own.
func (d *dashboard) endpoint(path string) string { return d.site.url + "/" + d.tenant + path }

// answer sets how an endpoint answers.
func (d *dashboard) answer(path string, status int, body string) {
	d.site.tell("/"+d.tenant+path, status, body)
}

// subscribe registers an endpoint, and returns the webhook's id.
func (d *dashboard) subscribe(path string) string {
	d.t.Helper()
	var webhook struct{ ID string }
	d.api(http.MethodPost, "webhooks", fmt.Sprintf(`{"url":%q}`, d.endpoint(path)), http.StatusCreated, &webhook)
	return webhook.ID
}

// emit emits events of a type, and returns the ids of the first one.
func (d *dashboard) emit(eventType string, n int) string {
	d.t.Helper()
	event := fmt.Sprintf(`{"event_type":%q,"data":{"device_id":"dev_1042","serial":12345678901234567890}}`, eventType)
	var receipts []struct {
		EventID string `json:"event_id"`
	}
	d.api(http.MethodPost, "events", "["+strings.TrimSuffix(strings.Repeat(event+",", n), ",")+"]", http.StatusAccepted, &receipts)
	return receipts[0].EventID
}

// logs waits until the log has as many rows that match a query.
func (d *dashboard) logs(query string, n int) {
	d.t.Helper()
	eventually(d.t, fmt.Sprintf("%d requests with %s", n, query), func() bool {
		var page struct{ Data []struct{} }
		d.api(http.MethodGet, "requests?limit=200&"+query, "", http.StatusOK, &page)
		return len(page.Data) == n
	})
}
