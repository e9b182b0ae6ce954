package caddymodule_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-webhooks/caddy-webhooks/internal/openapitest"
	"github.com/caddy-webhooks/caddy-webhooks/internal/process"
)

const (
	emitToken  = "emit-token-of-the-tests"
	adminToken = "admin-token-of-the-tests"

	// patience bounds every wait. No test waits that long unless it fails.
	patience = 60 * time.Second
)

// adaptFile turns a Caddyfile into JSON.
func adaptFile(t *testing.T, caddyfile string) []byte {
	t.Helper()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatalf("%v in\n%s", err, caddyfile)
	}
	return config
}

// freeAddr is an address on which nobody listens.
func freeAddr(t testing.TB) string {
	t.Helper()
	addr, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// caddySite is a Caddy that runs in this process. There can be one at a time.
type caddySite struct {
	t    *testing.T
	addr string // of the site
	log  string // the file with all that Caddy logs

	streams *http.Client // that follow uses; nil: the default one
}

// options of a caddySite's Caddyfile.
type siteConfig struct {
	webhooks string // lines in the webhooks global option
	handler  string // lines in the webhooks directive; the tokens if empty
	global   string // lines in the global options, beside the webhooks one
	more     string // lines in the site, after the directive

	noApp, noHandler bool // without the option and the directive, or without the latter
}

// startSite loads a configuration with the API at /hooks/ and waits for nothing.
func startSite(t *testing.T, c siteConfig) *caddySite {
	t.Helper()
	s := &caddySite{t: t, addr: freeAddr(t), log: filepath.Join(t.TempDir(), "caddy.log")}
	if err := s.load(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *caddySite) caddyfile(c siteConfig) string {
	if c.handler == "" {
		c.handler = "emit_token " + emitToken + "\nadmin_token " + adminToken
	}
	app, handler := "webhooks {\n"+c.webhooks+"\n}", "webhooks {\n"+c.handler+"\n}"
	if c.noApp {
		app = ""
	}
	if c.noApp || c.noHandler {
		handler = "respond 404"
	}
	return fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	log {
		output file %s
		level DEBUG
	}
	%s
	%s
}
http://%s {
	log
	handle_path /hooks/* {
		%s
	}
	%s
	respond /beside "beside"
}
`, s.log, c.global, app, s.addr, handler, c.more)
}

// load loads a configuration; while another one runs, that is a reload.
func (s *caddySite) load(c siteConfig) error {
	s.t.Helper()
	return caddy.Load(adaptFile(s.t, s.caddyfile(c)), true)
}

// loadInVain loads a configuration that cannot start, for somebody has a port of
// it: the load is rolled back.
func (s *caddySite) loadInVain(c siteConfig) {
	s.t.Helper()
	taken := newReceiver(s.t).Listener.Addr().String()
	broken := s.caddyfile(c) + "http://" + taken + " {\n\trespond ok\n}\n"
	if err := caddy.Load(adaptFile(s.t, broken), true); err == nil {
		s.t.Fatal("the broken configuration was loaded")
	}
}

// reply is an answer that has been read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func replyOf(e *openapitest.Exchange) reply {
	return reply{e.Status, e.ResponseHeader, e.ResponseBody}
}

// do calls the site. A body that is a string is sent as it is; headers are pairs.
func (s *caddySite) do(method, path, body string, headers ...string) reply {
	s.t.Helper()
	return do(s.t, method, "http://"+s.addr+path, body, headers...)
}

// do makes one request, and makes it again while nobody answers it.
func do(t *testing.T, method, url, body string, headers ...string) reply {
	t.Helper()
	var r reply
	eventually(t, "an answer to "+method+" "+url, func() bool {
		var err error
		r, err = try(method, url, body, headers...)
		if err != nil && !unanswered(err) {
			t.Fatal(err)
		}
		return err == nil
	})
	return r
}

// unanswered says whether an error means that nobody answered. After a reload
// the listener of the old configuration is closed in the background: connections
// that it has not accepted yet are reset, and idle ones are closed.
func unanswered(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF) ||
		err != nil && strings.Contains(err.Error(), "http: server closed idle connection")
}

// try makes one request. An answer that is not as the OpenAPI document says is an
// error.
func try(method, url, body string, headers ...string) (reply, error) {
	return tryWith(http.DefaultClient, method, url, body, headers...)
}

// tryWith is try with another client.
func tryWith(client *http.Client, method, url, body string, headers ...string) (reply, error) {
	e, err := exchangeWith(client, method, url, body, headers...)
	if err != nil {
		return reply{}, err
	}
	return replyOf(e), openapitest.Check(e)
}

// exchangeWith makes one request and takes any answer.
func exchangeWith(client *http.Client, method, url, body string, headers ...string) (*openapitest.Exchange, error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var answer []byte
	if method != http.MethodHead && res.Header.Get("Content-Type") == openapitest.StreamType {
		answer, err = openapitest.ReadEvent(bufio.NewReader(res.Body)) // the first; it does not end by itself
	} else {
		answer, err = io.ReadAll(res.Body)
	}
	if err != nil {
		return nil, err
	}
	return &openapitest.Exchange{
		Method: method, URL: url, Header: req.Header, Body: body,
		Status: res.StatusCode, ResponseHeader: res.Header, ResponseBody: answer,
	}, nil
}

// admin calls the API as an admin.
func (s *caddySite) admin(method, path, body string, headers ...string) reply {
	s.t.Helper()
	return s.do(method, "/hooks/"+path, body, append([]string{"Authorization", "Bearer " + adminToken}, headers...)...)
}

// emit calls POST /api/events as an emitter.
func (s *caddySite) emit(body string) reply {
	s.t.Helper()
	return s.do(http.MethodPost, "/hooks/api/events", body, "Authorization", "Bearer "+emitToken)
}

// ready waits until the store is open.
func (s *caddySite) ready() {
	s.t.Helper()
	eventually(s.t, "the store to be open", func() bool {
		return s.do(http.MethodGet, "/hooks/api/health", "").status == http.StatusOK
	})
}

// subscribe registers a webhook for an endpoint, once the store is open.
func (s *caddySite) subscribe(endpoint *receiver) {
	s.t.Helper()
	s.ready()
	s.admin(http.MethodPost, "api/webhooks", `{"url":"`+endpoint.URL+`"}`).want(s.t, http.StatusCreated, nil)
}

// want fails the test unless the reply has the status, and reads it into v.
func (r reply) want(t testing.TB, status int, v any) {
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

// eventually asks again and again until it is so.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// receiver is an endpoint with TLS that keeps what it gets.
type receiver struct {
	*httptest.Server
	ca string // the file with its certificate

	got chan received

	open atomic.Int64 // connections to it

	mu     sync.Mutex
	status int
	held   map[string]chan struct{} // paths whose requests wait for an answer
}

type received struct {
	path   string
	header http.Header
	body   []byte
}

func newReceiver(t *testing.T) *receiver { return startReceiver(t, false) }

func newReceiverHTTP2(t *testing.T) *receiver { return startReceiver(t, true) }

func startReceiver(t testing.TB, http2 bool) *receiver {
	t.Helper()
	r := &receiver{got: make(chan received, 10_000), status: http.StatusOK, held: make(map[string]chan struct{})}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		r.got <- received{req.URL.Path, req.Header, body}
		r.mu.Lock()
		status, held := r.status, r.held[req.URL.Path]
		r.mu.Unlock()
		if held != nil {
			select {
			case <-held:
			case <-req.Context().Done():
				return
			}
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, "answer %d", status)
	}))
	r.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			r.open.Add(1)
		case http.StateClosed:
			r.open.Add(-1)
		default:
		}
	}
	r.EnableHTTP2 = http2
	r.TLS = &tls.Config{ClientAuth: tls.RequestClientCert} // so that those that webhooks have are sent
	r.StartTLS()
	t.Cleanup(r.Close)
	r.ca = filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw}
	if err := os.WriteFile(r.ca, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

// answer sets the status of the answers from now on.
func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

// hold lets requests to a path wait for an answer until release is called.
func (r *receiver) hold(path string) (release func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	held := make(chan struct{})
	r.held[path] = held
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.held, path)
		close(held)
	}
}

// next waits for the next request.
func (r *receiver) next(t *testing.T) received {
	t.Helper()
	select {
	case got := <-r.got:
		return got
	case <-time.After(patience):
		t.Fatal("waited in vain for a request")
		return received{}
	}
}

// config is the global option for tests: events go to this receiver on loopback.
func (r *receiver) config(redisAddr string) string { return r.configOf("redis redis://" + redisAddr) }

// configOf is config with any store.
func (r *receiver) configOf(store string) string {
	return fmt.Sprintf(`store %s
		retry {
			delay 10ms
			jitter 0 10ms
		}
		destinations {
			allow 127.0.0.0/8
			trusted_ca %s
		}
`, store, r.ca)
}
