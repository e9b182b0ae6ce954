package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-webhooks/caddy-webhooks/api"
	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/embedded"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis"
	"github.com/caddy-webhooks/caddy-webhooks/internal/openapitest"
)

const (
	asAdmin   = "Bearer admin"
	asViewer  = "Bearer viewer"
	asEmitter = "Bearer emitter"

	asPassword = "Basic YW55OmFkbWlu"                   // of an admin
	noID       = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b" // nobody's

	// patience bounds every wait. No test waits that long unless it fails.
	patience = 60 * time.Second
)

func TestMain(m *testing.M) {
	code := m.Run()
	for _, err := range openapitest.Undocumented() {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// config is what the API of a test works with.
type config struct {
	store      delivery.Store // default: embedded, in a folder of its own
	eventTypes []string       // default: the standard ones
	declared   []api.DeclaredType
	settings   delivery.Settings
	maxEvent   int64                                    // how many bytes one may have
	before     func(http.ResponseWriter, *http.Request) // called before each call is served; nil for nothing
	http2      bool
	intake     *api.Intake // default: one of its own
	audit      bool
	limits     api.TenantLimits
}

// newConfig has the default settings.
func newConfig() config { return config{settings: delivery.DefaultSettings(), maxEvent: 1 << 20} }

// withLoopback lets webhooks be on this machine, without TLS.
func (c config) withLoopback() config {
	c.settings.Destinations.AllowHTTP = true
	c.settings.Destinations.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	return c
}

// redisAt is a store in a Redis.
func redisAt(addr string) delivery.Store { return redis.New(redis.Options{Addresses: []string{addr}}) }

// site is an API at /hooks/ of a server. The role of a caller is that of its
// Authorization header, the tenant the header X-Tenant, or the default one.
type site struct {
	t      *testing.T
	url    string // of the server
	client *http.Client
	engine *delivery.Engine
	log    *observer.ObservedLogs
	// replace ends the configuration.
	replace context.CancelFunc
	refused chan string // how many events were refused, and the status
	// throttled has the limits that calls were refused for.
	throttled chan string
}

// start starts a server, and waits until its store is open.
func start(t *testing.T, c config) *site {
	t.Helper()
	if c.store == nil {
		c.store = embedded.New(t.TempDir())
	}
	types, err := api.NewEventTypes(c.eventTypes, c.declared...)
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.DebugLevel)
	engine := delivery.NewEngine(c.store)
	c.settings.AnyEventType = types.Any()
	detach := engine.Attach(c.settings, zap.New(core))
	t.Cleanup(func() {
		detach()
		if err := engine.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	refused := make(chan string, 10_000)
	throttled := make(chan string, 10_000)
	inForce, replace := context.WithCancel(t.Context())
	a := api.New(api.Backend{
		Engine: engine, EventTypes: types, Settings: &c.settings, MaxEventSize: c.maxEvent,
		InForce: inForce, Log: zap.New(core), Intake: c.intake, Audit: c.audit, Limits: c.limits,
		Throttled:     func(limit string) { throttled <- limit },
		EventsRefused: func(n, status int) { refused <- fmt.Sprint(n, " ", status) },
	})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		by := api.Caller{Role: roleOf(r), Tenant: api.DefaultTenant, URL: r.URL, Serving: t.Context(), By: "alice", Address: "192.0.2.7"}
		if tenant, ok := r.Header["X-Tenant"]; ok {
			by.Tenant = tenant[0]
		}
		if c.before != nil {
			c.before(w, r)
		}
		relative := r.Clone(r.Context())
		relative.URL.Path = strings.TrimPrefix(r.URL.Path, "/hooks")
		if err := a.Serve(w, relative, by); err != nil {
			t.Error(err)
		}
	}))
	if server.EnableHTTP2 = c.http2; c.http2 {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	eventually(t, "the store", func() bool { return engine.Health(t.Context()) == nil })
	return &site{t: t, url: server.URL, client: server.Client(), engine: engine, log: logs, replace: replace, refused: refused, throttled: throttled}
}

func roleOf(r *http.Request) api.Role {
	switch r.Header.Get("Authorization") {
	case asAdmin, asPassword:
		return api.Admin
	case asViewer:
		return api.Viewer
	case asEmitter:
		return api.Emitter
	default:
		return api.Nobody
	}
}

// reply is a response that has been read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// do makes one request. A body that is a string is sent as it is; headers are pairs.
// A response that is not as the OpenAPI document says fails the test.
func (s *site) do(method, path, body string, headers ...string) reply {
	s.t.Helper()
	e := s.exchange(method, path, body, headers...)
	if err := openapitest.Check(e); err != nil {
		s.t.Error(err)
	}
	return reply{e.Status, e.ResponseHeader, e.ResponseBody}
}

// exchange makes one request and takes any response.
func (s *site) exchange(method, path, body string, headers ...string) *openapitest.Exchange {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var content []byte
	if method != http.MethodHead && res.Header.Get("Content-Type") == openapitest.StreamType {
		content, err = openapitest.ReadEvent(bufio.NewReader(res.Body)) // the first; it does not end by itself
	} else {
		content, err = io.ReadAll(res.Body)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return &openapitest.Exchange{
		Method: method, URL: req.URL.String(), Header: req.Header, Body: body,
		Status: res.StatusCode, ResponseHeader: res.Header, ResponseBody: content,
	}
}

// hostile makes a call as an admin that is none of a documented client's, or whose
// event types are not the standard ones.
func (s *site) hostile(method, path, body string, headers ...string) reply {
	s.t.Helper()
	headers = append([]string{"Authorization", asAdmin}, headers...)
	e := s.exchange(method, path, body, headers...)
	return reply{e.Status, e.ResponseHeader, e.ResponseBody}
}

// admin calls the API as an admin, unless headers say otherwise.
func (s *site) admin(method, path, body string, headers ...string) reply {
	s.t.Helper()
	return s.do(method, "/hooks/"+path, body, append([]string{"Authorization", asAdmin}, headers...)...)
}

// emit calls POST /api/events as an emitter.
func (s *site) emit(body string) reply {
	s.t.Helper()
	return s.do(http.MethodPost, "/hooks/api/events", body, "Authorization", asEmitter)
}

// requests waits until the log has n rows for the query.
func (s *site) requests(query string, n int) []request {
	s.t.Helper()
	var page requestList
	eventually(s.t, "the log of "+query, func() bool {
		page = requestList{}
		s.admin(http.MethodGet, "api/requests?"+query, "").want(s.t, http.StatusOK, &page)
		return len(page.Data) >= n
	})
	if len(page.Data) != n {
		s.t.Fatalf("%d rows for %s, want %d", len(page.Data), query, n)
	}
	return page.Data
}

// wantCalm wants nothing in the log that somebody would have to look after.
func (s *site) wantCalm() {
	s.t.Helper()
	for _, entry := range s.log.Filter(func(e observer.LoggedEntry) bool { return e.Level >= zap.ErrorLevel }).All() {
		s.t.Errorf("the log says %s %v", entry.Message, entry.Context)
	}
}

// want fails the test unless the reply has the status, and reads it into v.
func (r reply) want(t *testing.T, status int, v any) {
	t.Helper()
	if r.status != status {
		t.Fatalf("got %d, want %d: %s", r.status, status, r.body)
	}
	if v == nil {
		return
	}
	dec := json.NewDecoder(bytes.NewReader(r.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
}

type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Errors []struct {
		Field  string `json:"field"`
		Detail string `json:"detail"`
	} `json:"errors"`
}

// wantProblem fails the test unless the reply is a problem of the status.
func (r reply) wantProblem(t *testing.T, status int) problem {
	t.Helper()
	var p problem
	r.want(t, status, &p)
	if p.Type != "about:blank" || p.Title != http.StatusText(status) || p.Status != status || !strings.HasSuffix(p.Detail, ".") || p.Errors == nil {
		t.Errorf("got %+v", p)
	}
	for header, want := range map[string]string{
		"Content-Type": "application/problem+json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
	} {
		if got := r.header.Get(header); got != want {
			t.Errorf("%s is %q", header, got)
		}
	}
	return p
}

// fields are those that the problem names.
func (p problem) fields() string {
	var fields []string
	for _, e := range p.Errors {
		fields = append(fields, e.Field)
	}
	return strings.Join(fields, " ")
}

// eventually asks again and again until it is so.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
