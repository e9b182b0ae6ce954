package caddymodule_test

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/embedded"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

const storePassword = "password-of-the-redis"

// copyStores runs the command caddy webhooks copy, and returns what it prints.
func copyStores(t *testing.T, args ...string) (output string, err error) {
	t.Helper()
	out, err := caddyCommand(t, append([]string{"webhooks", "copy"}, args...)...).CombinedOutput()
	for _, hidden := range []string{secret, storePassword} {
		if strings.Contains(string(out), hidden) {
			t.Errorf("%s is in the output:\n%s", hidden, out)
		}
	}
	return string(out), err
}

// wantCopied fails the test unless the copy succeeds and prints the lines.
func wantCopied(t *testing.T, lines []string, args ...string) {
	t.Helper()
	out, err := copyStores(t, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, line := range lines {
		if !strings.Contains(out, line+"\n") {
			t.Errorf("%q is not in the output:\n%s", line, out)
		}
	}
}

// wantRefused fails the test unless the copy fails and says why in one line.
func wantRefused(t *testing.T, why string, args ...string) {
	t.Helper()
	out, err := copyStores(t, args...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(out, why) {
		t.Errorf("got %v, want %q:\n%s", err, why, out)
	}
}

// withStore is a configuration that tries a failed delivery again and again.
func (r *receiver) withStore(store string) siteConfig {
	return siteConfig{webhooks: fmt.Sprintf(`store %s
		retry {
			attempts 100
			delay 1s
			jitter 0 10ms
		}
		destinations {
			allow 127.0.0.0/8
			trusted_ca %s
		}
		audit
`, store, r.ca)}
}

// TestCopyCommand copies what a site holds from a folder to Redis, and on to another
// folder. Each time a site goes on with the copy.
func TestCopyCommand(t *testing.T) {
	t.Setenv("COPY_TEST_PASSWORD", storePassword)
	redis := redistest.Start(t, "--requirepass", storePassword)
	c := &copied{
		T: t, endpoint: newReceiver(t),
		first: "embedded " + t.TempDir(), second: "embedded " + filepath.Join(t.TempDir(), "new"),
		inRedis: fmt.Sprintf("redis {\n\taddress %s\n\tpassword {env.COPY_TEST_PASSWORD}\n}", redis.Addr),
	}
	c.fill()
	c.copyToRedis()
	c.goOnInRedis()
	c.copyBack()
}

// copied are the stores of TestCopyCommand, and what is in them.
type copied struct {
	*testing.T
	endpoint               *receiver
	first, inRedis, second string // the stores
	delivered              request
	pending                receipt // of an event whose delivery has failed
	retry, rerun           request // of the pending and of the delivered event
}

// fill makes two webhooks in the first store, and two events for one of them, of which one
// is delivered.
func (c *copied) fill() {
	s := startSite(c.T, c.endpoint.withStore(c.first))
	s.ready()
	s.admin(http.MethodPost, "api/webhooks", `{"url":"`+c.endpoint.URL+`","secret":"`+secret+`"}`).want(c.T, http.StatusCreated, nil)
	s.admin(http.MethodPost, "api/webhooks", `{"url":"`+c.endpoint.URL+`/off","enabled":false}`).want(c.T, http.StatusCreated, nil)
	s.emit(`{"event_type":"device_created","data":{"n":1}}`).want(c.T, http.StatusAccepted, nil)
	c.delivered = s.requests("status=success", 1)[0]
	c.endpoint.answer(http.StatusInternalServerError)
	s.emit(`{"event_type":"device_created","data":{"n":2}}`).want(c.T, http.StatusAccepted, &c.pending)
	eventually(c.T, "the second event to fail", func() bool {
		var list requestList
		s.admin(http.MethodGet, "api/requests?status=failed", "").want(c.T, http.StatusOK, &list)
		return len(list.Data) > 0
	})
	wantRefused(c.T, "another process has", "--from", c.first, "--to", c.inRedis, "--with-secrets")
	stopSite(c.T)
}

// copyToRedis copies the first store, twice.
func (c *copied) copyToRedis() {
	wantRefused(c.T, "1 of 2 webhooks have a secret: give --with-secrets", "--from", c.first, "--to", c.second)
	if _, err := os.Stat(strings.TrimPrefix(c.second, "embedded ")); !errors.Is(err, os.ErrNotExist) {
		c.Errorf("the refused copy began: %v", err)
	}
	counts := []string{
		"tenants                        1           1",
		"webhooks                       2           2",
		"events                         2           2",
		"pending deliveries             1           1",
		"audit entries                  2           2",
	}
	wantCopied(c.T, append(counts, "webhooks: 2 read, 2 copied", "events: 2 read, 2 copied", "audit entries: 2 read, 2 copied"),
		"--from", c.first, "--to", c.inRedis, "--with-secrets")
	wantCopied(c.T, append(counts, "webhooks: 2 read, 0 copied, 2 were already there", "events: 2 read, 0 copied, 2 were already there"),
		"--from", c.first, "--to", c.inRedis, "--with-secrets")
}

// goOnInRedis has a site deliver the pending event, as it would have been delivered before
// the copy, and run the request again that was made before.
func (c *copied) goOnInRedis() {
	c.endpoint.answer(http.StatusOK)
	c.endpoint.forget()
	s := startSite(c.T, c.endpoint.withStore(c.inRedis))
	s.ready()
	got := c.endpoint.next(c.T)
	if !strings.Contains(string(got.body), c.pending.EventID) || got.header.Get("X-Level-Signature") != signature(got.body) {
		c.Errorf("got %s, signed %s", got.body, got.header.Get("X-Level-Signature"))
	}
	c.retry = s.requests("status=success&event_id="+c.pending.EventID, 1)[0]
	if c.retry.Trigger != "retry" || c.retry.Attempt == nil || *c.retry.Attempt < 2 {
		c.Errorf("the retry is %+v", c.retry)
	}
	s.admin(http.MethodPost, "api/requests/"+c.delivered.ID+"/rerun", "").want(c.T, http.StatusOK, &c.rerun)
	if again := c.endpoint.next(c.T); c.rerun.Status != "success" || string(again.body) != *c.rerun.RequestBody || !strings.Contains(*c.rerun.RequestBody, `{"n":1}`) {
		c.Errorf("the re-run is %+v", c.rerun)
	}
	stopSite(c.T)
}

// copyBack copies from Redis to the second store, where a site finds the whole log.
func (c *copied) copyBack() {
	wantRefused(c.T, "the stores differ in their pending deliveries, requests", "--from", c.first, "--to", c.inRedis, "--with-secrets")
	wantCopied(c.T, []string{
		"tenants                        1           1",
		"webhooks                       2           2",
		"events                         2           2",
		"pending deliveries             0           0",
		"audit entries                  3           3",
	}, "--from", c.inRedis, "--to", c.second, "--with-secrets")
	s := startSite(c.T, c.endpoint.withStore(c.second))
	s.ready()
	var before request
	s.admin(http.MethodGet, "api/requests/"+c.delivered.ID, "").want(c.T, http.StatusOK, &before)
	if before.ResponseBody == nil || *before.ResponseBody != "answer 200" {
		c.Errorf("the first request is %+v", before)
	}
	if rows := s.requests("status=success", 3); rows[0].ID != c.rerun.ID || rows[1].ID != c.retry.ID || rows[2].ID != c.delivered.ID {
		c.Errorf("the log is %+v", rows)
	}
}

// stopSite stops the Caddy in this process, which closes its store.
func stopSite(t *testing.T) {
	t.Helper()
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
}

// forget drops what has arrived so far.
func (r *receiver) forget() {
	for {
		select {
		case <-r.got:
		default:
			return
		}
	}
}

// TestCopyMistakes makes mistakes on the command line.
func TestCopyMistakes(t *testing.T) {
	t.Parallel()
	missing := t.TempDir()
	nothing := "embedded " + missing
	addr := redistest.Start(t).Addr
	redis := "redis redis://" + addr
	folder := t.TempDir()
	made := embedded.New(folder)
	if err := errors.Join(made.Open(t.Context()), made.Close()); err != nil {
		t.Fatal(err)
	}
	empty := "embedded " + folder
	for why, args := range map[string][]string{
		`required flag(s) "to" not set`:                                   {"--from", nothing},
		"wrong argument count or unexpected line":                         {"--from", "", "--to", redis},
		"store needs the name of a module first":                          {"--from", "redis://:" + storePassword + "@localhost:6379", "--to", redis},
		"the URL must begin with redis://":                                {"--from", "redis http://:" + storePassword + "@localhost:6379", "--to", redis},
		"unrecognized redis option 'pass', at --to:2":                     {"--from", redis, "--to", "redis {\npass " + storePassword + "\n}"},
		"after the store: put each store in quotes of its own, at --to:2": {"--from", redis, "--to", "embedded /nowhere\nredis"},
		"put each store in quotes":                                        {"--from", redis, "--to", "redis", "redis://:" + storePassword + "@localhost:6379"},
		"password is empty: {env.COPY_TEST_UNSET} has no":                 {"--from", redis, "--to", "redis {\naddress localhost:6379\npassword {env.COPY_TEST_UNSET}\n}"},
		"--from and --to are the same store":                              {"--from", redis + "/0", "--to", redis},
		"--from: there is no such store: embedded in " + missing:          {"--from", nothing, "--to", redis + "/1"},
		"--from: there is no such store: redis at " + addr + `, database 1, key prefix "hooks"`: {
			"--from", "redis redis://:" + storePassword + "@" + addr + "/1 {\nkey_prefix hooks\n}", "--to", nothing,
		},
		"--from: the store is not available: Redis cannot":  {"--from", "redis redis://" + freeAddr(t), "--to", redis},
		"--from is empty: is it the right store?":           {"--from", empty, "--to", empty + "/new"},
		"--to: the store is not available: Redis cannot be": {"--from", empty, "--to", "redis redis://" + freeAddr(t)},
	} {
		wantRefused(t, why, args...)
	}
}

// TestCopyInterrupted has Ctrl-C end a copy in the middle, and the next copy finish it.
func TestCopyInterrupted(t *testing.T) {
	t.Parallel()
	const events = 10_000
	folder := t.TempDir()
	fillStore(t, folder, events)
	redis := redistest.Start(t)
	for try := 0; ; try++ {
		args := []string{"webhooks", "copy", "--from", "embedded " + folder, "--to", fmt.Sprintf("redis redis://%s {\nkey_prefix try%d\n}", redis.Addr, try)}
		cmd := caddyCommand(t, args...)
		output, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(output)
		for lines.Scan() && !strings.HasPrefix(lines.Text(), "webhooks: ") {
			continue // the store has printed a warning
		}
		// The copy has begun, and now gets no further than to the end of a batch.
		if err := errors.Join(redis.Freeze(), cmd.Process.Signal(os.Interrupt), redis.Thaw()); err != nil {
			t.Fatal(err)
		}
		var last string
		for lines.Scan() {
			last = lines.Text()
		}
		if err := cmd.Wait(); err == nil && try < 10 {
			continue // the copy was quicker
		} else if err == nil || last != "Error: interrupted: run the same command again to continue" {
			t.Fatalf("%v: %s", err, last)
		}
		out, err := caddyCommand(t, args...).CombinedOutput()
		want := fmt.Sprintf("events%26d%12d\n", events, events)
		if err != nil || !strings.Contains(string(out), want) || !strings.Contains(string(out), " were already there\n") {
			t.Errorf("%v, want %q:\n%s", err, want, out)
		}
		return
	}
}

// fillStore makes a store in a folder with one webhook and many events.
func fillStore(t *testing.T, folder string, events int) {
	t.Helper()
	s := embedded.New(folder)
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	hook := delivery.StoredWebhook{Webhook: delivery.Webhook{Tenant: "default", ID: uuid.New(), URL: "https://example.com"}}
	batch := new(delivery.Batch)
	batch.AddWebhook(hook)
	for n := range events + 1 {
		if n%delivery.BatchItems == 0 || n == 1 || n == events {
			if _, err := s.Import(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			batch = new(delivery.Batch)
		}
		batch.AddEvent(delivery.StoredEvent{
			Event: delivery.Event{
				Tenant: "default", ID: uuid.New(), Type: "alert_active", Payload: []byte("{}"),
				OccurredAt: s.Now(), ReceivedAt: s.Now(),
			},
			Expires:    s.Now().Add(24 * time.Hour),
			Deliveries: []delivery.StoredDelivery{{Webhook: hook.ID, Status: delivery.DeliveryPending, Due: s.Now()}},
		})
	}
}
