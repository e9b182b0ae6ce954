package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
	"github.com/caddy-webhooks/caddy-webhooks/internal/process"
)

//go:embed Caddyfile
var caddyfile []byte

// rig is a Caddy with a store of its own, and a receiver, for one measurement.
type rig struct {
	binary string // of Caddy
	dir    string
	env    []string // of Caddy

	caddy *process.Process
	redis *redis.Client // nil for another store
	sink  *sink
	api   string
	token string
}

func withRig(ctx context.Context, caddy, store string, m measurement) ([]result, error) {
	dir, err := os.MkdirTemp("", "caddy-webhooks-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	r := &rig{binary: caddy, dir: dir, token: rand.Text()}
	stop, err := r.setUp(store, m)
	if err != nil {
		return nil, err
	}
	defer stop()
	if r.sink, err = startSink(); err != nil {
		return nil, err
	}
	defer r.sink.close()
	if err := r.startCaddy(ctx); err != nil {
		return nil, err
	}
	defer func() { _ = r.caddy.Stop() }() // then it was killed
	return m.run(ctx, r)
}

// setUp starts the store if it is a server, and says where it and all else is.
func (r *rig) setUp(store string, m measurement) (stop func(), err error) {
	configured, stop := "embedded "+filepath.Join(r.dir, "store"), func() {}
	if store == "redis" {
		redisDir := filepath.Join(r.dir, "redis")
		if err := os.Mkdir(redisDir, 0o700); err != nil {
			return nil, err
		}
		server, err := redistest.StartServer(redisDir, "--appendonly", "yes", "--appendfsync", "everysec")
		if err != nil {
			return nil, err
		}
		r.redis = redis.NewClient(&redis.Options{Addr: server.Addr})
		configured = "redis redis://" + server.Addr
		stop = func() {
			_ = r.redis.Close()
			server.Kill()
		}
	}
	site, err := process.FreeAddress()
	if err != nil {
		stop()
		return nil, err
	}
	r.api = "http://" + site + "/hooks/api"
	r.env = []string{
		"STORE=" + configured,
		"SITE_ADDRESS=http://" + site,
		"TOKEN=" + r.token,
		"RETRY_DELAY=" + cmp.Or(m.retryDelay, "2m"),
		"RETRY_JITTER=" + cmp.Or(m.retryJitter, "60s"),
	}
	return stop, nil
}

// startCaddy starts Caddy and waits until it takes events.
func (r *rig) startCaddy(ctx context.Context) (err error) {
	if r.caddy, err = process.StartCaddy(r.binary, r.dir, caddyfile, r.env...); err != nil {
		return err
	}
	for {
		err := r.get(ctx, "/health", nil)
		if err == nil {
			return nil
		}
		select {
		case <-r.caddy.Done:
			return fmt.Errorf("Caddy ended (%w):\n%s", r.caddy.Err, r.caddy.Tail())
		case <-ctx.Done():
			r.caddy.Kill()
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// post and get call the API, as the emitter and admin in one.
func (r *rig) post(ctx context.Context, path string, body []byte) error {
	return r.call(ctx, http.MethodPost, path, body, nil)
}

func (r *rig) get(ctx context.Context, path string, answer any) error {
	return r.call(ctx, http.MethodGet, path, nil, answer)
}

// call reads a JSON answer into the given value unless it is nil.
func (r *rig) call(ctx context.Context, method, path string, body []byte, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, r.api+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

// subscribe registers a webhook for a path of the sink.
func (r *rig) subscribe(ctx context.Context, path string) error {
	body, err := json.Marshal(map[string]string{"url": r.sink.url + path, "secret": r.token})
	if err != nil {
		return err
	}
	return r.post(ctx, "/webhooks", body)
}

// event is about 500 bytes, with the moment in which it was made.
func event(made time.Time) []byte {
	return fmt.Appendf(nil, `{"event_type":"alert_active","data":{"made":%d,"text":"%0400d"}}`, made.UnixNano(), 0)
}

// pause waits, false if ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
