package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-webhooks/caddy-webhooks/caddymodule"
	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// asCaddy is an environment variable that turns this test program into the Caddy that the
// demo starts. So Caddy needs no build of its own, and has the race detector.
const asCaddy = "DEMO_TEST_AS_CADDY"

func TestMain(m *testing.M) {
	if os.Getenv(asCaddy) != "" {
		caddycmd.Main()
		return
	}
	os.Exit(m.Run())
}

// newDemo makes a demo. Its folder must be gone when the test ends.
func newDemo(t *testing.T) (*demo, *output) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(asCaddy, "1")
	folders := t.TempDir()
	t.Setenv("TMPDIR", folders)
	t.Cleanup(func() {
		if left, _ := filepath.Glob(filepath.Join(folders, "*")); len(left) > 0 {
			t.Errorf("the demo has left %s behind", left)
		}
	})
	out := &output{changed: make(chan struct{}, 1)}
	return &demo{caddy: self, once: true, out: out}, out
}

func TestDemo(t *testing.T) {
	d, out := newDemo(t)
	if err := d.run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := out.String()
	for _, c := range []struct {
		what string
		want int
	}{
		{"✓\n", len(events) + 2},
		{"✗", 0},
		{"not seen", 0},
		{"  204   ", len(events) + 1},
		{"  500   ", 1},
		{"  1/3  ", len(events) + 1},
		{"  2/3  ", 1},
		{"  retry  ", 1},
		{"  webhooks_emit /devices device_created {\n    on 201\n  }\n", 1},
		{`  answered:  201 Created {"id":"dev_1","hostname":"nas-8"}` + "\n", 1},
		{`  the event: device_created {"id":"dev_1","hostname":"nas-8"}` + "\n", 1},
		{"The log says why the request failed: ", 1},
	} {
		if got := strings.Count(text, c.what); got != c.want {
			t.Errorf("%q is there %d times, not %d", c.what, got, c.want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// TestPage opens the page as the demo says, before the demo has shown anything else and
// after it has shown everything.
func TestPage(t *testing.T) {
	d, out := newDemo(t)
	d.once = false
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	ended := make(chan error, 1)
	go func() { ended <- d.run(ctx) }()
	const last = "Ctrl-C ends everything"
	for !strings.Contains(out.String(), last) {
		select {
		case <-out.changed:
		case err := <-ended:
			t.Fatalf("the demo ended before %q: %v\n%s", last, err, out)
		}
	}
	before, _, _ := strings.Cut(out.String(), "Registering")
	_, after, _ := strings.Cut(out.String(), "Everything keeps running")
	for _, text := range []string{before, after} {
		said := regexp.MustCompile(`(?m)^  (http://\S+/)\n  user name: .*\n  password:  (\S+)$`).FindStringSubmatch(text)
		if said == nil {
			t.Fatalf("the page is not in\n%s", text)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, said[1], nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("demo", said[2])
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err := errors.Join(err, res.Body.Close()); err != nil || !strings.Contains(string(body), "<title>Webhooks</title>") {
			t.Errorf("%s answers %s: %v, %s", said[1], res.Status, err, body)
		}
	}
	interrupt()
	if err := <-ended; err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The demo ends without an error and cleans up whenever it is interrupted.
func TestInterrupt(t *testing.T) {
	for _, moment := range []string{"Starting Caddy", "Registering", "Waiting until", "Ctrl-C ends everything"} {
		t.Run(moment, func(t *testing.T) {
			d, out := newDemo(t)
			d.once = false
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			ended := make(chan error, 1)
			go func() { ended <- d.run(ctx) }()
			for !strings.Contains(out.String(), moment) {
				select {
				case <-out.changed:
				case err := <-ended:
					t.Fatalf("ended before %q: %v\n%s", moment, err, out)
				}
			}
			interrupt()
			if err := <-ended; err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestCaddyEnds(t *testing.T) {
	d, _ := newDemo(t)
	d.caddy = filepath.Join(t.TempDir(), "caddy")
	script := "#!/bin/sh\necho this is why >&2\nexit 3\n"
	if err := os.WriteFile(d.caddy, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	err := d.run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "this is why") {
		t.Errorf("the error does not tell what happened: %v", err)
	}
}

func TestReceiver(t *testing.T) {
	const secret, body = "s3cret", `{"event_type":"` + failsOnce + `","event_id":"1"}`
	r := newReceiver(secret)
	for _, c := range []struct {
		name, signature string
		want            int
	}{
		{"no signature", "", http.StatusUnauthorized},
		{"another secret's", delivery.Signature("other", []byte(body)), http.StatusUnauthorized},
		{"the first good one", delivery.Signature(secret, []byte(body)), http.StatusInternalServerError},
		{"the second good one", delivery.Signature(secret, []byte(body)), http.StatusNoContent},
	} {
		req := httptest.NewRequest(http.MethodPost, "/webhook", strings.NewReader(body))
		req.Header.Set("X-Level-Signature", c.signature)
		answer := httptest.NewRecorder()
		r.ServeHTTP(answer, req)
		if answer.Code != c.want {
			t.Errorf("%s: answered %d, not %d", c.name, answer.Code, c.want)
		}
	}
}

// output is what the demo has printed. It can be read while the demo runs.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.changed <- struct{}{}:
	default:
	}
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
