package caddymodule_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// newProcess makes a Caddy in a process of its own that guards the upstream at /in.
func (g *guarded) newProcess(store, guard string) *crasher {
	g.t.Helper()
	dir := g.t.TempDir()
	site := &caddySite{t: g.t, addr: freeAddr(g.t), log: filepath.Join(dir, "caddy.log")}
	c := &crasher{t: g.t, addr: site.addr, config: filepath.Join(dir, "Caddyfile"), log: filepath.Join(dir, "output")}
	text := site.caddyfile(g.config(siteConfig{webhooks: "store " + store}, map[string]string{"/in": guard}))
	if err := os.WriteFile(c.config, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(c.kill)
	return c
}

// receive sends a message with the body {}.
func (c *crasher) receive(headers []string) reply {
	c.t.Helper()
	return do(c.t, http.MethodPost, "http://"+c.addr+"/in", "{}", headers...)
}

// hold has the upstream answer with a status once release is called. It tells of each request.
func (g *guarded) hold(status int) (arrived <-chan struct{}, release func()) {
	arrival, held := make(chan struct{}, 100), make(chan struct{})
	g.answers(func(w http.ResponseWriter, _ *http.Request) {
		arrival <- struct{}{}
		<-held
		w.WriteHeader(status)
	})
	release = sync.OnceFunc(func() { close(held) })
	g.t.Cleanup(release)
	return arrival, release
}

// TestVerifyTwoCaddys has two Caddys on one Redis, one of which knows the sender's next secret
// already: what one has received or is receiving, the other does not receive.
func TestVerifyTwoCaddys(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	store := "redis redis://" + redistest.Start(t).Addr
	here := g.newProcess(store, "standard {\n\tsecret before\n}")
	there := g.newProcess(store, "standard {\n\tsecret now before\n}")
	here.start()
	there.start()
	message := func() []string { return standard("before", uuid.NewString(), time.Now(), "{}") }

	first := message()
	here.receive(first).want(t, http.StatusNoContent, nil)
	there.receive(first).wantUnverified(t, "what the other has received")
	g.wantTaken("received once", 1)

	for _, status := range []int{http.StatusNoContent, http.StatusBadGateway} {
		m := message()
		arrived, release := g.hold(status)
		got := make(chan reply)
		go func() { got <- there.receive(m) }()
		<-arrived
		here.receive(m).wantProblem(t, http.StatusConflict)
		release()
		(<-got).want(t, status, nil)
		if g.wantTaken("while the other receives it", 1); status == http.StatusNoContent {
			here.receive(m).wantUnverified(t, "once the other has received it")
			continue
		}
		g.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
		here.receive(m).want(t, http.StatusNoContent, nil)
		g.wantTaken("once the other has failed", 1)
	}

	g.receiveAtOnce(here, there)

	// Whether a Caddy that is killed has received what it was receiving, nobody knows.
	m := message()
	arrived, _ := g.hold(http.StatusNoContent)
	go func() { _, _ = try(http.MethodPost, "http://"+here.addr+"/in", "{}", m...) }()
	<-arrived
	here.kill()
	there.receive(m).wantProblem(t, http.StatusConflict)
}

// receiveAtOnce sends messages to several Caddys, many times at once: each is received once.
func (g *guarded) receiveAtOnce(caddys ...*crasher) {
	g.t.Helper()
	const messages, senders = 10, 3
	answers := make(chan string, len(caddys)*messages*senders)
	var sending sync.WaitGroup
	for i := range messages {
		m := standard("before", uuid.NewString(), time.Now(), "{}")
		for range senders {
			for _, c := range caddys {
				sending.Go(func() { answers <- fmt.Sprint(i, " ", c.receive(m).status) })
			}
		}
	}
	sending.Wait()
	close(answers)
	g.wantTaken("sent to both at once", messages)
	count := make(map[string]int)
	for answer := range answers {
		count[answer]++
	}
	for i := range messages {
		received, refused := count[fmt.Sprint(i, " 204")], count[fmt.Sprint(i, " 401")]+count[fmt.Sprint(i, " 409")]
		if received != 1 || refused != len(caddys)*senders-1 {
			g.t.Errorf("message %d was received %d times, and refused %d times", i, received, refused)
		}
	}
}

// TestVerifyEmbeddedReload reloads a Caddy while it receives a message: nobody receives it beside
// that.
func TestVerifyEmbeddedReload(t *testing.T) {
	guards := map[string]string{"/in": "github {\n\tsecret " + verifySecret + "\n}"}
	config := siteConfig{webhooks: "store embedded " + t.TempDir()}
	g := startGuarded(t, config, guards)
	for _, status := range []int{http.StatusNoContent, http.StatusBadGateway} {
		m := github(verifySecret, uuid.NewString(), "{}")
		arrived, release := g.hold(status)
		got := make(chan reply)
		go func() { got <- g.do(http.MethodPost, "/in", "{}", m...) }()
		<-arrived
		if err := g.load(g.config(config, guards)); err != nil {
			t.Fatal(err)
		}
		g.do(http.MethodPost, "/in", "{}", m...).wantProblem(t, http.StatusConflict)
		release()
		(<-got).want(t, status, nil)
		g.wantTaken("over a reload", 1)
		g.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
		if again := g.do(http.MethodPost, "/in", "{}", m...); status == http.StatusNoContent {
			again.wantUnverified(t, "received under the configuration before")
		} else {
			again.want(t, http.StatusNoContent, nil)
		}
		g.taken()
	}
}

// TestVerifyEmbeddedCrash kills a Caddy: it knows what it has received once it runs again, and
// receives what it was receiving.
func TestVerifyEmbeddedCrash(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	c := g.newProcess("embedded "+t.TempDir(), "github {\n\tsecret "+verifySecret+"\n}")
	c.start()
	received, receiving := github(verifySecret, uuid.NewString(), "{}"), github(verifySecret, uuid.NewString(), "{}")
	c.receive(received).want(t, http.StatusNoContent, nil)
	arrived, _ := g.hold(http.StatusNoContent)
	go func() { _, _ = try(http.MethodPost, "http://"+c.addr+"/in", "{}", receiving...) }()
	<-arrived
	c.kill()
	g.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	c.start()
	c.receive(received).wantUnverified(t, "received before the crash")
	c.receive(receiving).want(t, http.StatusNoContent, nil)
}
