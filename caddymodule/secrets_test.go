package caddymodule_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// The secrets of TestSecretsStayIn. Each contains a text that appears nowhere else.
const (
	plainSecret      = "hush-plain-webhook"
	changedSecret    = "hush-changed-webhook"
	rotatedSecret    = "hush-rotated-webhook"
	misplacedSecret  = "hush-misplaced-webhook"
	decodedSecret    = "hush-whsec-webhook"
	hiddenEmitToken  = "hush-emit-token"
	hiddenAdminToken = "hush-admin-token"
	callerPassword   = "hush-caller-password"
	redisPassword    = "hush-redis-password"
	wrongPassword    = "hush-wrong-password"
	sentinelPassword = "hush-sentinel-password"
	proxyPassword    = "hush-proxy-password"
)

// whsec is a secret in the form of Standard Webhooks.
func whsec(text string) string { return "whsec_" + base64.StdEncoding.EncodeToString([]byte(text)) }

// outcries are all forms in which secrets could come out.
func outcries() []string {
	forms := []string{"hush", whsec(decodedSecret), strings.TrimPrefix(whsec(decodedSecret), "whsec_")}
	_, keys := clientIdentity()
	forms = append(forms, keys...)
	for _, credentials := range []string{"bob:" + basicPassword, "me:" + clientSecret, "bob:" + callerPassword, "bob:" + hiddenAdminToken, "proxy:" + proxyPassword} {
		forms = append(forms, base64.StdEncoding.EncodeToString([]byte(credentials)))
	}
	return forms
}

// eavesdropper keeps everything that comes out, and where it came from.
type eavesdropper struct {
	t  *testing.T
	mu sync.Mutex
	// heard has where something was said, and what, in turn.
	heard []string
}

func (e *eavesdropper) hear(where, said string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, where, said)
}

// hearError keeps the text of an error, which must not be nil.
func (e *eavesdropper) hearError(where string, err error) {
	e.t.Helper()
	if err == nil {
		e.t.Errorf("%s: no error", where)
		return
	}
	for ; err != nil; err = errors.Unwrap(err) {
		e.hear(where, fmt.Sprintf("%v %+v %#v", err, err, err))
	}
}

// check looks for secrets in everything that was heard.
func (e *eavesdropper) check() {
	e.t.Helper()
	for i := 0; i < len(e.heard); i += 2 {
		for _, form := range outcries() {
			if at := strings.Index(e.heard[i+1], form); at >= 0 {
				said := e.heard[i+1]
				e.t.Errorf("%s says %q: …%s…", e.heard[i], form, said[max(0, at-100):min(len(said), at+100)])
			}
		}
	}
}

// spied is a site of which the eavesdropper hears every answer.
type spied struct {
	*caddySite
	*eavesdropper
}

// call makes a call as an admin, unless headers say otherwise.
func (s *spied) call(method, path, body string, headers ...string) reply {
	s.caddySite.t.Helper()
	headers = append([]string{"Authorization", "Bearer " + hiddenAdminToken}, headers...)
	got := s.do(method, "/hooks/"+path, body, headers...)
	s.hear(method+" "+path+" "+body, fmt.Sprint(got.status, got.header, string(got.body)))
	return got
}

// TestSecretsStayIn does everything that involves secrets, as it is meant and with mistakes,
// with all logs on. No answer, log, metric or error may contain a secret, nor may the
// configuration that Caddy shows, in which only placeholders stand.
func TestSecretsStayIn(t *testing.T) {
	for name, value := range map[string]string{
		"HUSH_EMIT": hiddenEmitToken, "HUSH_ADMIN": hiddenAdminToken, "HUSH_REDIS": redisPassword, "HUSH_WRONG": wrongPassword,
		"HUSH_SENTINEL": sentinelPassword, "HUSH_PROXY": proxyPassword,
	} {
		t.Setenv(name, value)
	}
	redis := redistest.Start(t, "--requirepass", redisPassword)
	endpoint := newReceiver(t)
	adminAddr := freeAddr(t)
	config := siteConfig{
		global:  "admin " + adminAddr,
		handler: "emit_token {env.HUSH_EMIT}\nadmin_token {env.HUSH_ADMIN}",
		more:    "metrics /metrics",
	}
	with := func(lines string) siteConfig {
		c := config
		c.webhooks = lines
		return c
	}
	good := with(endpoint.config(":{env.HUSH_REDIS}@"+redis.Addr) + "standard_webhooks\ntimeout 1s\naudit\n")

	ear := &eavesdropper{t: t}
	s := &spied{startSite(t, good), ear}
	s.ready()
	s.useAPI(endpoint)
	s.badCalls()
	for name, lines := range badStores(t, redis, endpoint) {
		if err := s.load(with(lines)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s.call("POST", "api/events", `{"event_type":"group_created","data":{}}`).wantProblem(t, 503)
		eventually(t, "the reason why the store is not open: "+name, func() bool {
			return !strings.Contains(s.call("GET", "api/health", "").wantProblem(t, 503).Detail, "not been opened yet")
		})
	}
	s.useProxies(with, redis, endpoint)
	s.loadInVain(with(endpoint.config(":{env.HUSH_WRONG}@" + redis.Addr)))
	if err := s.load(good); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"http://" + s.addr + "/metrics", "http://" + adminAddr + "/metrics", "http://" + adminAddr + "/config/"} {
		ear.hear(path, string(scrapeText(t, path)))
	}
	ear.hear("the adapted configuration", string(adaptFile(t, s.caddyfile(good))))
	s.badConfigurations()

	s.hearLog()
	ear.check()
}

// hearLog hears the whole log.
func (s *spied) hearLog() {
	t := s.caddySite.t
	log, err := os.ReadFile(s.log)
	if err != nil {
		t.Fatal(err)
	}
	for _, expected := range []string{"handled request", "request failed", "Redis", "407"} {
		if !strings.Contains(string(log), expected) {
			t.Errorf("the log does not say %q, so that a part of it is missing", expected)
		}
	}
	for line := range strings.Lines(string(log)) {
		s.hear("the log", line)
	}
}

// useAPI makes every call as it is meant. Deliveries succeed, fail and time out.
func (s *spied) useAPI(endpoint *receiver) {
	t := s.caddySite.t
	silent := newSilent(t)
	var hook, dead webhook
	for _, secret := range []string{plainSecret, whsec(decodedSecret)} {
		s.call("POST", "api/webhooks", `{"url":"`+endpoint.URL+`","secret":"`+secret+`"}`).want(t, 201, &hook)
	}
	s.call("POST", "api/webhooks", `{"url":"https://`+silent+`/","secret":"`+plainSecret+`","event_types":["group_deleted"]}`).want(t, 201, &dead)
	path := "api/webhooks/" + hook.ID
	event := `{"event_type":"%s","data":{}}`
	var succeeded, failed receipt
	s.call("POST", "api/events", fmt.Sprintf(event, "group_created"), "Authorization", "Bearer "+hiddenEmitToken).want(t, 202, &succeeded)
	s.awaitRows("event_id="+succeeded.EventID, 2)
	endpoint.answer(http.StatusInternalServerError)
	s.call("POST", "api/events", fmt.Sprintf(event, "group_created")).want(t, 202, &failed)
	s.awaitRows("event_id="+failed.EventID, 2*3)
	s.call("POST", "api/events", fmt.Sprintf(event, "group_deleted")).want(t, 202, nil)
	rows := append(s.awaitRows("webhook_id="+dead.ID, 1)[:1], s.awaitRows("event_id="+failed.EventID, 1)...)

	s.call("PATCH", path, `{"secret":"`+changedSecret+`"}`).want(t, 200, nil)
	s.call("POST", path+"/rotate-secret", `{"secret":"`+rotatedSecret+`"}`).want(t, 200, nil)
	s.call("POST", path+"/rotate-secret", `{"secret":" `+rotatedSecret+`","grace":"31d"}`).wantProblem(t, 422)
	s.call("POST", path+"/test", `{}`).want(t, 200, nil)
	for _, row := range rows[:2] {
		s.call("POST", "api/requests/"+row.ID+"/rerun", "")
		s.call("GET", "api/requests/"+row.ID, "").want(t, 200, nil)
	}
	endpoint.answer(http.StatusOK)
	s.call("POST", path+"/test", `{}`).want(t, 200, nil)
	for _, read := range []string{path, "api/webhooks", "api/event-types", "api/events/" + failed.EventID, "api/requests", "api/deliveries", "api/stats", "api/health", "api/openapi.json"} {
		s.call("GET", read, "").want(t, 200, nil)
	}
	useCredentials(t, s.call, path, endpoint)
	s.call("PATCH", path, `{"secret":null}`).want(t, 200, nil)
	s.call("DELETE", path, "").want(t, 204, nil)
	s.hearAudits()
}

// hearAudits hears the whole audit log, which must name each kind of credential.
func (s *spied) hearAudits() {
	t := s.caddySite.t
	t.Helper()
	said := ""
	for path := "api/audit?limit=200"; path != ""; {
		var page struct {
			Data []any  `json:"data"`
			Next string `json:"next_cursor"`
		}
		got := s.call("GET", path, "")
		got.want(t, 200, &page)
		said += string(got.body)
		if path = ""; page.Next != "" {
			path = "api/audit?limit=200&cursor=" + page.Next
		}
	}
	for _, expected := range []string{`"has_secret"`, `"bearer"`, `"basic"`, `"header"`, `"oauth2"`, `"client_certificate":{`} {
		if !strings.Contains(said, expected) {
			t.Errorf("the audit log does not have %s, so that a part of it is missing", expected)
		}
	}
}

// awaitRows waits until the log has at least n rows.
func (s *spied) awaitRows(query string, n int) []request {
	t := s.caddySite.t
	t.Helper()
	var list requestList
	eventually(t, "the rows of "+query, func() bool {
		s.call("GET", "api/requests?"+query, "").want(t, 200, &list)
		return len(list.Data) >= n
	})
	return list.Data
}

// badCalls makes calls with secrets in wrong places, and with wrong credentials.
func (s *spied) badCalls() {
	t := s.caddySite.t
	const secret, ok = misplacedSecret, `"url":"https://example.com/"`
	identity, keys := clientIdentity()
	var hook webhook
	s.call("POST", "api/webhooks", `{`+ok+`,"secret":"whsec_`+secret+` ="}`).want(t, 422, nil)
	s.call("POST", "api/webhooks", `{`+ok+`}`).want(t, 201, &hook)
	path := "api/webhooks/" + hook.ID
	for _, body := range []string{
		`{` + ok + `,"secret":["` + secret + `"]}`,
		`{` + ok + `,"secret":{"value":"` + secret + `"}}`,
		`{` + ok + `,"secret":` + secret + `}`,
		`{` + ok + `,"secret":"` + secret,
		`{` + ok + `,"secret":"` + secret + `\ud800"}`,
		`{` + ok + `,"secret":"` + secret + "\xff\"}",
		`{` + ok + `,"secret":"` + secret + "\n\"}",
		`{` + ok + `,"secret":"` + secret + `","secret":"` + secret + `"}`,
		`{` + ok + `,"secret":"` + strings.Repeat(secret, 100) + `"}`,
		`{` + ok + `,"secrett":"` + secret + `"}`,
		`{` + ok + `,"Secret":"` + secret + `"}`,
		`{"url":"` + secret + `"}`,
		`{"url":"https://bob:` + secret + `@example.com/"}`,
		`{"url":"https://example.com/%zz#` + secret + `"}`,
		`{` + ok + `,"enabled":"` + secret + `"}`,
		`{` + ok + `,"event_types":"` + secret + `"}`,
		`{` + ok + `,"event_types":["` + secret + `"]}`,
		`{` + ok + `,"event_types":["*","` + secret + `"]}`,
		`{` + ok + `,"description":["` + secret + `"]}`,
		`{` + ok + `,"authorization":"` + secret + `"}`,
		`{` + ok + `,"authorization":{"type":"` + secret + `"}}`,
		`{` + ok + `,"authorization":{"type":"bearer","token":["` + secret + `"]}}`,
		`{` + ok + `,"authorization":{"type":"bearer","token":"` + secret + "\\n" + `"}}`,
		`{` + ok + `,"authorization":{"type":"basic","username":"` + secret + `:","password":"` + secret + `"}}`,
		`{` + ok + `,"authorization":{"type":"header","name":"` + secret + `: ","value":"` + secret + `\n"}}`,
		`{` + ok + `,"authorization":{"type":"oauth2","token_url":"` + secret + `","client_id":"a","client_secret":"` + secret + `"}}`,
		`{` + ok + `,"client_certificate":"` + secret + `"}`,
		`{` + ok + `,"client_certificate":{"private_key":"` + secret + `"}}`,
		`{` + ok + `,"client_certificate":{"certificate":"` + secret + `","private_key":"` + secret + `"}}`,
		`{` + ok + `,"client_certificate":` + strings.Replace(identity, "BEGIN PRIVATE", "BEGIN PUBLIC", 1) + `}`,
		`{` + ok + `,"client_certificate":` + strings.Replace(identity, `"certificate":"`, `"certificate":"`+secret+keys[0], 1) + `}`,
		`["` + secret + `"]`, `"` + secret + `"`, secret,
	} {
		for _, got := range []reply{s.call("POST", "api/webhooks", body), s.call("PATCH", path, body), s.call("POST", "api/events", body), s.call("POST", path+"/test", body)} {
			if got.status != 400 && got.status != 422 {
				t.Errorf("%d for %s", got.status, body)
			}
		}
	}
	s.call("POST", "api/events", `{"event_type":"`+secret+`","event_id":"`+secret+`","occurred_at":"`+secret+`","data":"`+secret+`"}`).wantProblem(t, 422)
	s.call("POST", "api/webhooks", `{`+ok+`,"secret":"`+secret+`"}`, "Content-Type", "text/plain").wantProblem(t, 415)
	s.call("PUT", path, `{"secret":"`+secret+`"}`).wantProblem(t, 405)
	s.badCredentials()
}

// badCredentials makes calls with wrong credentials.
func (s *spied) badCredentials() {
	t := s.caddySite.t
	basic := func(password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte("bob:"+password))
	}
	for authorization, want := range map[string]int{
		basic(callerPassword): 401, basic(hiddenAdminToken): 200, "Bearer " + callerPassword: 401, callerPassword: 401,
		"Basic " + callerPassword: 401, "Digest " + callerPassword: 401, "Bearer " + hiddenEmitToken: 403, "": 401,
	} {
		if got := s.call("GET", "api/webhooks", "", "Authorization", authorization); got.status != want {
			t.Errorf("%d for %s", got.status, authorization)
		}
	}
}

// newSilent starts an endpoint that accepts connections and says nothing.
func newSilent(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

// badStores are the options of stores that cannot be opened.
func badStores(t *testing.T, redis *redistest.Server, endpoint *receiver) map[string]string {
	t.Helper()
	away := freeAddr(t)
	// Its answers quote commands that it does not understand.
	renamed := redistest.Start(t, "--rename-command", "AUTH", "LOGIN", "--rename-command", "HELLO", "GREET")
	return map[string]string{
		"wrong password": endpoint.config(":{env.HUSH_WRONG}@" + redis.Addr + "/1"),
		"no password":    endpoint.config(redis.Addr + "/2"),
		"wrong user": `store redis {
			address ` + redis.Addr + `
			db 3
			username bob
			password {env.HUSH_WRONG}
		}`,
		"no AUTH": endpoint.config(":{env.HUSH_REDIS}@" + renamed.Addr),
		"away":    endpoint.config(":{env.HUSH_REDIS}@" + away),
		"a sentinel that is none": `store redis {
			address ` + redis.Addr + `
			sentinel main
			sentinel_password {env.HUSH_REDIS}
			password {env.HUSH_WRONG}
		}`,
		"a sentinel without AUTH": `store redis {
			address ` + renamed.Addr + `
			sentinel another
			sentinel_password {env.HUSH_SENTINEL}
			password {env.HUSH_REDIS}
		}`,
		"a sentinel that refuses": `store redis {
			address ` + redis.Addr + `
			sentinel other
			sentinel_username bob
			sentinel_password {env.HUSH_SENTINEL}
			password {env.HUSH_REDIS}
		}`,
	}
}

// useProxies sends through proxies that refuse, and through one that does not exist.
func (s *spied) useProxies(with func(string) siteConfig, redis *redistest.Server, endpoint *receiver) {
	t := s.caddySite.t
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Proxy-Authenticate", "Basic")
		http.Error(w, "not with "+r.Header.Get("Proxy-Authorization"), http.StatusProxyAuthRequired)
	}))
	t.Cleanup(refusing.Close)
	for _, proxy := range []string{
		"http://proxy:{env.HUSH_PROXY}@" + refusing.Listener.Addr().String(),
		"https://proxy:{env.HUSH_PROXY}@" + refusing.Listener.Addr().String(),
		"socks5://proxy:{env.HUSH_PROXY}@" + refusing.Listener.Addr().String(),
		"http://proxy:{env.HUSH_PROXY}@" + freeAddr(t),
	} {
		options := endpoint.config(":{env.HUSH_REDIS}@" + redis.Addr)
		options = strings.Replace(options, "destinations {", "timeout 1s\ndestinations {\nproxy "+proxy, 1)
		if err := s.load(with(options)); err != nil {
			t.Fatal(err)
		}
		s.ready()
		var hook webhook
		s.call("POST", "api/webhooks", `{"url":"`+endpoint.URL+`"}`).want(t, 201, &hook)
		var row request
		s.call("POST", "api/webhooks/"+hook.ID+"/test", "{}").want(t, 200, &row)
		if row.Status != "failed" {
			t.Errorf("%s: %+v", proxy, row)
		}
		s.call("DELETE", "api/webhooks/"+hook.ID, "").want(t, 204, nil)
	}
}

// badConfigurations loads configurations that have a secret, written out, in a wrong place.
func (s *spied) badConfigurations() {
	const secret = misplacedSecret
	ear := s.eavesdropper
	for _, c := range []siteConfig{
		{webhooks: "store redis redis://:" + secret + "@localhost:port"},
		{webhooks: "store redis redis://:" + secret + "@local%20host:1"},
		{webhooks: "store redis redis://:" + secret + "@localhost:1/db"},
		{webhooks: "store redis redis://:" + secret + "@localhost:1?x=1"},
		{webhooks: "store redis redis://:" + secret + "@localhost:1 extra"},
		{webhooks: "store redis :" + secret + "@localhost:1"},
		{webhooks: "store redis redis://:" + secret + "@a:1 redis://b:1"},
		{webhooks: "store redis://:" + secret + "@localhost:1"},
		{webhooks: "store redis {\nredis://:" + secret + "@localhost:1\n}"},
		{webhooks: "store redis {\naddress redis://:" + secret + "@localhost:1\n}"},
		{webhooks: "store redis {\naddress a:1\npassword " + secret + " two\n}"},
		{webhooks: "store redis {\naddress a:1\nsentinel_password " + secret + "\n}"},
		{webhooks: "store redis {\naddress a:1\npassword " + secret + "\npassword " + secret + "\n}"},
		{webhooks: "store redis {\naddress a:1\npasword " + secret + "\n}"},
		{webhooks: "store redis {\naddress a:1\ndb {env.HUSH_REDIS}\n}"},
		{webhooks: "store redis redis://:" + secret + "@localhost:1 {\npassword " + secret + "\n}"},
		{webhooks: "store redis redis://localhost:1\ntimeout {env.HUSH_REDIS}"},
		{webhooks: "store redis redis://localhost:1\nmax_event_size {env.HUSH_REDIS}"},
		{webhooks: "store redis redis://localhost:1\ndestinations {\nproxy http://proxy:" + secret + "@host:port\n}"},
		{webhooks: "store redis redis://localhost:1\ndestinations {\nproxy ftp://proxy:" + secret + "@host\n}"},
		{webhooks: "store redis redis://localhost:1\ndestinations {\nproxy proxy:" + secret + "@host\n}"},
		{webhooks: "store redis redis://localhost:1\ndestinations {\nproxy http://proxy:" + secret + "@host more\n}"},
		{webhooks: "store redis redis://localhost:1\ndestinations {\nhttp://proxy:" + secret + "@host\n}"},
		{webhooks: "store redis redis://localhost:1", handler: "emit_token " + secret + " two three"},
		{webhooks: "store redis redis://localhost:1", handler: "viewer_token " + secret + " t/w/o"},
		{webhooks: "store redis redis://localhost:1", handler: "admin_token_hash " + secret},
		{webhooks: "store redis redis://localhost:1\nencryption_key " + secret},
		{webhooks: "store redis redis://localhost:1", handler: "admin_token " + secret + "{env.HUSH_UNSET}"},
		{webhooks: "store redis redis://localhost:1", handler: "admin_user " + secret},
		{webhooks: "store redis redis://:" + secret + "{env.HUSH_UNSET}@localhost:1"},
	} {
		ear.hearError(c.webhooks+" "+c.handler, validate(s.caddyfile(c)))
	}
	for _, store := range []string{
		`{"module":"redis","urls":["redis://:` + secret + `@localhost:x"]}`,
		`{"module":"redis","urls":"redis://:` + secret + `@localhost:1"}`,
		`{"module":"redis","addresses":["a:1"],"password":["` + secret + `"]}`,
		`{"module":"redis","addresses":["a:1"],"db":"` + secret + `"}`,
		`{"module":"redis","addresses":["a:1"],"pasword":"` + secret + `"}`,
		`"redis://:` + secret + `@localhost:1"`,
	} {
		ear.hearError(store, caddy.Load([]byte(`{"admin":{"disabled":true},"apps":{"webhooks":{"store":`+store+`}}}`), true))
	}
}

// validate does what "caddy validate" does.
func validate(caddyfile string) error {
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return err
	}
	cfg := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(adapted, cfg); err != nil {
		return err
	}
	return caddy.Validate(cfg)
}
