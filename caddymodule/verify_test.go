package caddymodule_test

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

const verifySecret = "hush-of-the-sender"

// guarded is a site whose upstream gets only what is signed.
type guarded struct {
	*caddySite
	upstream *httptest.Server

	mu     sync.Mutex
	got    []*http.Request // with their bodies
	answer http.HandlerFunc
}

// startGuarded starts a site with webhook_verify for each path, with the scheme and options.
func startGuarded(t *testing.T, c siteConfig, guards map[string]string) *guarded {
	t.Helper()
	g := newGuarded(t)
	g.caddySite = startSite(t, g.config(c, guards))
	return g
}

// newGuarded starts an upstream, without a site before it.
func newGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{caddySite: &caddySite{t: t}, answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }}
	g.upstream = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		g.mu.Lock()
		g.got = append(g.got, r)
		answer := g.answer
		g.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(g.upstream.Close)
	return g
}

func (g *guarded) config(c siteConfig, guards map[string]string) siteConfig {
	for path, guard := range guards {
		c.more += fmt.Sprintf("handle %s {\n\twebhook_verify %s\n\treverse_proxy %s {\n\t\theader_up X-Message {http.webhook.id}\n"+
			"\t\theader_up X-Message-At {http.webhook.timestamp}\n\t}\n}\n", path, guard, strings.TrimPrefix(g.upstream.URL, "http://"))
	}
	return c
}

// answers sets how the upstream answers from now on.
func (g *guarded) answers(answer http.HandlerFunc) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answer = answer
}

// taken returns what the upstream has got since it was called before.
func (g *guarded) taken() []*http.Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	got := g.got
	g.got = nil
	return got
}

// wantTaken checks how many requests the upstream has got.
func (g *guarded) wantTaken(what string, n int) []*http.Request {
	g.t.Helper()
	got := g.taken()
	if len(got) != n {
		g.t.Errorf("%s: the upstream got %d requests, want %d", what, len(got), n)
	}
	return got
}

// wantUnverified checks an answer of 401, which says the same for whatever reason.
func (r reply) wantUnverified(t *testing.T, what string) {
	t.Helper()
	const detail = "The request is not signed as it has to be, or not for now, or it was received before."
	if r.status != http.StatusUnauthorized {
		t.Errorf("%s: %d %s", what, r.status, r.body)
		return
	}
	if p := r.wantProblem(t, http.StatusUnauthorized); p.Detail != detail {
		t.Errorf("%s: %q", what, p.Detail)
	}
}

// github are the headers of a delivery of GitHub.
func github(secret, id, body string) []string {
	return []string{"X-Hub-Signature-256", delivery.Signature(secret, []byte(body)), "X-GitHub-Delivery", id}
}

func standard(secret, id string, at time.Time, body string) []string {
	return []string{
		"webhook-id", id, "webhook-timestamp", fmt.Sprint(at.Unix()),
		"webhook-signature", delivery.StandardSignature(secret, id, at, []byte(body)),
	}
}

func macHex(secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// schemesOf has for each scheme how a body is signed, at a time.
var schemesOf = map[string]func(at time.Time, id, body string) []string{
	"level": func(_ time.Time, _, body string) []string {
		return []string{"X-Level-Signature", delivery.Signature(verifySecret, []byte(body))}
	},
	"github":   func(_ time.Time, id, body string) []string { return github(verifySecret, id, body) },
	"standard": func(at time.Time, id, body string) []string { return standard(verifySecret, id, at, body) },
	"stripe": func(at time.Time, _, body string) []string {
		return []string{"Stripe-Signature", fmt.Sprintf("t=%d,v1=%s", at.Unix(), macHex(verifySecret, fmt.Sprintf("%d.%s", at.Unix(), body)))}
	},
	"slack": func(at time.Time, _, body string) []string {
		return []string{"X-Slack-Request-Timestamp", fmt.Sprint(at.Unix()), "X-Slack-Signature", "v0=" + macHex(verifySecret, fmt.Sprintf("v0:%d:%s", at.Unix(), body))}
	},
}

// TestVerifySchemes sends requests of each scheme: one that is signed goes on as it is, once it
// has been answered with 2xx it goes on no more, and nor do others.
func TestVerifySchemes(t *testing.T) {
	t.Setenv("VERIFY_SECRET", verifySecret)
	guards := make(map[string]string)
	for scheme := range schemesOf {
		guards["/"+scheme] = scheme + " {\n\t\tsecret another {env.VERIFY_SECRET}\n\t}"
	}
	g := startGuarded(t, siteConfig{webhooks: "store embedded " + t.TempDir()}, guards)
	for scheme, sign := range schemesOf {
		t.Run(scheme, func(t *testing.T) {
			const body = `{"event": "ü ☎"}`
			now, id := time.Now(), uuid.NewString()
			headers := sign(now, id, body)
			send := func(body string, headers ...string) reply {
				return g.do(http.MethodPost, "/"+scheme+"?a=b", body, headers...)
			}
			send(body).wantUnverified(t, "unsigned")
			send(body+" ", headers...).wantUnverified(t, "another body")
			if stale := sign(now.Add(-6*time.Minute), id, body); scheme != "level" && scheme != "github" {
				send(body, stale...).wantUnverified(t, "stale")
			}
			g.wantTaken("refused", 0)

			g.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
			send(body, headers...).want(t, http.StatusInternalServerError, nil)
			g.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusSeeOther) })
			if got, err := tryWith(noRedirects, http.MethodPost, "http://"+g.addr+"/"+scheme, body, headers...); err != nil || got.status != http.StatusSeeOther {
				t.Errorf("%d %v", got.status, err)
			}
			g.wantTaken("failed", 2)
			g.answers(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "thanks") })
			if got := send(body, headers...); got.status != http.StatusOK || string(got.body) != "thanks" {
				t.Errorf("sent again after a failure: %d %s", got.status, got.body)
			}
			for _, r := range g.wantTaken("sent again", 1) {
				wantPassedOn(t, r, scheme, body, id, fmt.Sprint(now.Unix()), headers)
			}
			send(body, headers...).wantUnverified(t, "sent again after a success")
			g.wantTaken("replayed", 0)
			send(body+"\n", sign(now, uuid.NewString(), body+"\n")...).want(t, http.StatusOK, nil)
			g.wantTaken("another message", 1)
		})
	}
	log, err := os.ReadFile(g.log)
	if err != nil || strings.Contains(string(log), verifySecret) {
		t.Errorf("the log has the secret (%v)", err)
	}
	for _, reason := range []string{"unsigned", "forged", "stale", "replayed"} {
		if !strings.Contains(string(log), `"reason":"`+reason+`"`) {
			t.Errorf("the log does not have the reason %s", reason)
		}
	}
}

// wantPassedOn checks a request that the upstream got.
func wantPassedOn(t *testing.T, r *http.Request, scheme, body, id, at string, headers []string) {
	t.Helper()
	got, err := io.ReadAll(r.Body)
	if err != nil || string(got) != body || r.ContentLength != int64(len(body)) || r.URL.RawQuery != "a=b" {
		t.Errorf("the upstream got %q, of %d bytes", got, r.ContentLength)
	}
	for i := 0; i < len(headers); i += 2 {
		if r.Header.Get(headers[i]) != headers[i+1] {
			t.Errorf("the upstream got %s: %q", headers[i], r.Header.Get(headers[i]))
		}
	}
	if scheme != "github" && scheme != "standard" {
		id = ""
	}
	if scheme == "level" || scheme == "github" {
		at = ""
	}
	if r.Header.Get("X-Message") != id || r.Header.Get("X-Message-At") != at {
		t.Errorf("the placeholders are %q and %q", r.Header.Get("X-Message"), r.Header.Get("X-Message-At"))
	}
}

var noRedirects = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// TestVerifyAtOnce sends the same message while it is being received: it goes on once.
func TestVerifyAtOnce(t *testing.T) {
	g := startGuarded(t, siteConfig{webhooks: "store embedded " + t.TempDir()}, map[string]string{"/in": "github {\n\t\tsecret " + verifySecret + "\n\t}"})
	for _, status := range []int{http.StatusAccepted, http.StatusServiceUnavailable} {
		headers := github(verifySecret, uuid.NewString(), "{}")
		arrived, release := make(chan struct{}), make(chan struct{})
		g.answers(func(w http.ResponseWriter, _ *http.Request) {
			close(arrived)
			<-release
			w.WriteHeader(status)
		})
		first := make(chan reply)
		go func() { first <- g.do(http.MethodPost, "/in", "{}", headers...) }()
		<-arrived
		got := g.do(http.MethodPost, "/in", "{}", headers...)
		if got.wantProblem(t, http.StatusConflict); got.header.Get("Retry-After") != "5" {
			t.Errorf("Retry-After is %q", got.header.Get("Retry-After"))
		}
		close(release)
		(<-first).want(t, status, nil)
		g.wantTaken("the first", 1)
		g.answers(func(http.ResponseWriter, *http.Request) {})
		again := g.do(http.MethodPost, "/in", "{}", headers...)
		if status == http.StatusAccepted {
			again.wantUnverified(t, "again after a success")
		} else {
			again.want(t, http.StatusOK, nil)
		}
		g.taken()
	}
}

// TestVerifySenderGone has a sender that does not wait for the answer: it may send the message
// again. What was answered with 2xx was received, though, even if the rest of the answer breaks off.
func TestVerifySenderGone(t *testing.T) {
	g := startGuarded(t, siteConfig{webhooks: "store embedded " + t.TempDir()}, map[string]string{"/in": "level {\n\t\tsecret " + verifySecret + "\n\t}"})
	signature := delivery.Signature(verifySecret, []byte("{}"))
	arrived := make(chan struct{}, 1)
	g.answers(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	conn := g.dial("POST /in HTTP/1.1\r\nHost: " + g.addr + "\r\nContent-Length: 2\r\nX-Level-Signature: " + signature + "\r\n\r\n{}")
	select {
	case <-arrived:
	case <-time.After(patience):
		t.Fatal("the message did not arrive")
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	g.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		fmt.Fprint(w, "12345")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		panic(http.ErrAbortHandler)
	})
	eventually(t, "the message to be received again", func() bool {
		conn := g.dial("POST /in HTTP/1.1\r\nHost: " + g.addr + "\r\nContent-Length: 2\r\nConnection: close\r\nX-Level-Signature: " + signature + "\r\n\r\n{}")
		defer conn.Close()
		status, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil && err != io.EOF {
			t.Fatal(err)
		}
		return strings.Contains(status, " 200 ")
	})
	eventually(t, "the message to have been received", func() bool {
		return g.do(http.MethodPost, "/in", "{}", "X-Level-Signature", signature).status == http.StatusUnauthorized
	})
}

// TestVerifyBodies sends bodies of all kinds.
func TestVerifyBodies(t *testing.T) {
	g := startGuarded(t, siteConfig{webhooks: "store embedded " + t.TempDir()}, map[string]string{
		"/in": "level {\n\t\tsecret " + verifySecret + "\n\t\tmax_size 100KiB\n\t}",
	})
	large := strings.Repeat("x", 100<<10+1)
	sign := func(body string) string { return delivery.Signature(verifySecret, []byte(body)) }
	if got := g.do(http.MethodPost, "/in", large[1:], "X-Level-Signature", sign(large[1:])); got.status != http.StatusNoContent {
		t.Errorf("the largest body: %d %s", got.status, got.body)
	}
	g.do(http.MethodPost, "/in", large, "X-Level-Signature", sign(large)).wantProblem(t, http.StatusRequestEntityTooLarge)
	chunked := func(body, more string) (status string) {
		g.t.Helper()
		conn := g.dial("POST /in HTTP/1.1\r\nHost: " + g.addr + "\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nConnection: close\r\nX-Level-Signature: " + sign(body) + "\r\n" + more + "\r\n" +
			fmt.Sprintf("%x\r\n%s\r\n0\r\nX-Sum: 1\r\n\r\n", len(body), body))
		defer conn.Close()
		answer, err := io.ReadAll(conn)
		if err != nil && len(answer) == 0 {
			t.Fatal(err)
		}
		_, status, _ = strings.Cut(string(answer), " ")
		return status[:3]
	}
	if got := chunked(large, ""); got != "413" {
		t.Errorf("a chunked body that is too large: %s", got)
	}
	g.wantTaken("large ones", 1)
	if got := chunked("chunks", "Expect: 100-continue\r\n"); got != "100" {
		t.Errorf("who expects to be told to continue: %s", got)
	}
	for _, r := range g.wantTaken("a chunked body", 1) {
		if body, _ := io.ReadAll(r.Body); string(body) != "chunks" || r.ContentLength != -1 || r.Trailer.Get("X-Sum") != "1" {
			t.Errorf("the upstream got %q, of %d bytes, with %v", body, r.ContentLength, r.Trailer)
		}
	}
	if got := chunked("", ""); got != "204" {
		t.Errorf("a chunked body without a byte: %s", got)
	}
	g.do(http.MethodGet, "/in", "", "X-Level-Signature", sign("")).wantUnverified(t, "another empty body")
	g.wantTaken("empty bodies", 1)
	conn := g.dial("POST /in HTTP/1.1\r\nHost: " + g.addr + "\r\nContent-Length: 1000\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n") // the body never comes
	defer conn.Close()
	if status, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(status, " 401 ") {
		t.Errorf("who is not signed is answered %q before the body (%v)", status, err)
	}
}

// TestVerifyReload receives messages under several configurations, with one secret in common, and
// through sites that have it in common.
func TestVerifyReload(t *testing.T) {
	redis := redistest.Start(t)
	config := siteConfig{webhooks: "store redis redis://" + redis.Addr}
	with := func(secrets string) map[string]string {
		return map[string]string{
			"/in": "standard {\n\t\tsecret " + secrets + "\n\t}", "/beneath": "standard {\n\t\tsecret " + secrets + "\n\t}",
			"/named": "standard {\n\t\tsecret " + secrets + "\n\t\tname other\n\t}",
		}
	}
	g := startGuarded(t, config, with("before"))
	send := func(path, secret, id string) reply {
		return g.do(http.MethodPost, path, "{}", standard(secret, id, time.Now(), "{}")...)
	}
	send("/in", "before", "a").want(t, http.StatusNoContent, nil)
	send("/beneath", "before", "a").wantUnverified(t, "through another site")
	send("/named", "before", "a").want(t, http.StatusNoContent, nil)
	send("/named", "before", "a").wantUnverified(t, "through the site with a name")
	send("/in", "now", "b").wantUnverified(t, "by the secret that comes")
	if err := g.load(g.config(config, with("now before"))); err != nil {
		t.Fatal(err)
	}
	send("/in", "before", "a").wantUnverified(t, "after a reload")
	send("/in", "now", "a").wantUnverified(t, "after a reload, by the new secret")
	send("/in", "now", "b").want(t, http.StatusNoContent, nil)
	if err := g.load(g.config(config, with("now"))); err != nil {
		t.Fatal(err)
	}
	send("/in", "before", "c").wantUnverified(t, "by the secret that has gone")
	send("/in", "now", "b").wantUnverified(t, "after another reload")
}

// TestVerifyStoreAway has the store go away, and come back: requests wait for that.
func TestVerifyStoreAway(t *testing.T) {
	redis := redistest.Start(t)
	g := startGuarded(t, siteConfig{webhooks: "store redis redis://" + redis.Addr}, map[string]string{"/in": "github {\n\t\tsecret " + verifySecret + "\n\t}"})
	headers := github(verifySecret, uuid.NewString(), "{}")
	g.ready()
	redis.Kill()
	got := g.do(http.MethodPost, "/in", "{}", headers...)
	if got.wantProblem(t, http.StatusServiceUnavailable); got.header.Get("Retry-After") != "5" {
		t.Errorf("Retry-After is %q", got.header.Get("Retry-After"))
	}
	g.do(http.MethodPost, "/in", "{ }", headers...).wantUnverified(t, "without a store")
	g.wantTaken("without a store", 0)
	if err := redis.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the store to be back", func() bool {
		return g.do(http.MethodPost, "/in", "{}", headers...).status == http.StatusNoContent
	})

	// A message that was answered, and cannot be marked, is told to the log.
	g.answers(func(http.ResponseWriter, *http.Request) { redis.Kill() })
	before := logged(t, g.log, "cannot mark a request as received")
	g.do(http.MethodPost, "/in", "{}", github(verifySecret, uuid.NewString(), "{}")...).want(t, http.StatusOK, nil)
	if logged(t, g.log, "cannot mark a request as received") == before {
		t.Error("the log does not say that a message was not marked")
	}
}

// logged is how often a file of the log has a text.
func logged(t *testing.T, file, text string) int {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(content), text)
}

// TestVerifyAlone guards a site of a configuration that has no webhooks of its own.
func TestVerifyAlone(t *testing.T) {
	g := startGuarded(t, siteConfig{noApp: true}, map[string]string{"/in": "github {\n\t\tsecret " + verifySecret + "\n\t}"})
	headers := github(verifySecret, uuid.NewString(), "{}")
	g.do(http.MethodPost, "/in", "{}", headers...).want(t, http.StatusNoContent, nil)
	g.do(http.MethodPost, "/in", "{}", headers...).wantUnverified(t, "again")
}
