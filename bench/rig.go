package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
	"github.com/caddy-webhooks/caddy-webhooks/internal/process"
)

//go:embed Caddyfile
var caddyfile []byte

// rig is a Caddy with a store and a sink of its own, for one workload.
type rig struct {
	*options

	dir string
	env []string // of Caddy

	caddy    *process.Process
	redis    *redis.Client // nil if the store is another
	redisPID int
	sink     *sink
	api      string
	admin    string // the URL of Caddy's admin endpoint
	token    string // the token of emitters and admins, and the secret of webhooks

	bares []bareRun // all runs of the bare loop so far
}

// withRig measures a workload on a fresh rig, and also returns the runs of the bare loop.
func withRig(ctx context.Context, o *options, store string, w workload) (figures, []bareRun, error) {
	dir, err := os.MkdirTemp("", "caddy-webhooks-bench-")
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	r := &rig{options: o, dir: dir, token: rand.Text()}
	if r.sink, err = startSink(); err != nil {
		return nil, nil, err
	}
	defer r.sink.close()
	if store == "redis" {
		stop, err := r.startRedis(ctx)
		if err != nil {
			return nil, nil, err
		}
		defer stop()
	}
	if err := r.configure(w); err != nil {
		return nil, nil, err
	}
	if err := exec.CommandContext(ctx, "sync").Run(); err != nil {
		return nil, nil, fmt.Errorf("write what was there before to the disk: %w", err)
	}
	if err := r.startCaddy(ctx); err != nil {
		return nil, nil, err
	}
	defer func() { _ = r.caddy.Stop() }() // an error says that it had to be killed
	f, err := w.run(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	return f, r.bares, r.peaks(ctx, f)
}

func (r *rig) startRedis(ctx context.Context) (stop func(), err error) {
	dir := filepath.Join(r.dir, "redis")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	server, err := redistest.StartServer(dir, "--appendonly", "yes", "--appendfsync", "everysec")
	if err != nil {
		return nil, err
	}
	r.redis = redis.NewClient(&redis.Options{Addr: server.Addr})
	stop = func() {
		_ = r.redis.Close()
		server.Kill()
	}
	pid, err := r.redisInfo(ctx, "process_id")
	if err != nil {
		stop()
		return nil, err
	}
	r.redisPID = int(pid)
	return stop, nil
}

// configure chooses addresses and files, and sets the variables of the Caddyfile.
func (r *rig) configure(w workload) error {
	store := "embedded " + filepath.Join(r.dir, "store")
	if r.redis != nil {
		store = "redis redis://" + r.redis.Options().Addr
	}
	authority := filepath.Join(r.dir, "sink.pem")
	if err := os.WriteFile(authority, r.sink.authority, 0o600); err != nil {
		return err
	}
	site, err := process.FreeAddress()
	if err != nil {
		return err
	}
	admin, err := process.FreeAddress()
	if err != nil {
		return err
	}
	delay, jitter := 2*time.Minute, time.Minute
	if w.retryJitter != nil {
		delay, jitter = w.retryDelay, w.retryJitter(r.options)
	}
	r.api, r.admin = "http://"+site+"/hooks/api", "http://"+admin
	r.env = []string{
		"STORE=" + store,
		"SITE_ADDRESS=http://" + site,
		"ADMIN_ADDRESS=" + admin,
		"TRUSTED_CA=" + authority,
		"TOKEN=" + r.token,
		"RETRY_DELAY=" + delay.String(),
		"RETRY_JITTER=" + jitter.String(),
	}
	return nil
}

// startCaddy starts Caddy, and waits until it accepts events.
func (r *rig) startCaddy(ctx context.Context) (err error) {
	if r.caddy, err = process.StartCaddy(r.options.caddy, r.dir, caddyfile, r.env...); err != nil {
		return err
	}
	for r.health(ctx) != nil {
		select {
		case <-r.caddy.Done:
			return fmt.Errorf("Caddy ended (%w):\n%s", r.caddy.Err, r.caddy.Tail())
		case <-ctx.Done():
			r.caddy.Kill()
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// pause waits for the duration d. It returns false if ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
