package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/internal/process"
)

const (
	startTimeout = 30 * time.Second // until Caddy serves and has opened its store
	pollInterval = 50 * time.Millisecond
	// signalGrace is how long this process may take to get a Ctrl-C that has already
	// ended a child.
	signalGrace = 200 * time.Millisecond
)

//go:embed Caddyfile
var caddyfile []byte

// stage is everything that the demo starts, and where it is.
type stage struct {
	dir       string // the folder for everything that is written
	caddyPath string
	out       io.Writer

	receiver *receiver
	site     string       // URL of the site that Caddy serves, without a slash at the end
	unaware  *http.Server // a product behind it that knows nothing of webhooks
	product  *product
	caddy    *process.Process
}

// start starts everything, and returns when it is ready. After an error, stop ends what has
// started.
func (s *stage) start(ctx context.Context) (err error) {
	if s.receiver, err = startReceiver(rand.Text()); err != nil {
		return err
	}
	site, err := process.FreeAddress()
	if err != nil {
		return err
	}
	s.site = "http://" + site
	server, address, err := startUnaware(func(err error) { s.receiver.tell("The product stopped: %v\n", err) })
	if err != nil {
		return err
	}
	s.unaware = server
	s.product = &product{
		api:        s.site + "/hooks/api",
		emitToken:  rand.Text(),
		adminToken: rand.Text(),
	}
	fmt.Fprintf(s.out, "Starting Caddy at %s, with its store in a temporary folder\n", site)
	if err := s.startCaddy(address); err != nil {
		return fmt.Errorf("Caddy did not start: %w", err)
	}
	return s.awaitHealth(ctx)
}

func (s *stage) startCaddy(productAddress string) error {
	var err error
	s.caddy, err = process.StartCaddy(s.caddyPath, s.dir, caddyfile,
		"STORE_FOLDER="+filepath.Join(s.dir, "store"),
		"SITE_ADDRESS="+s.site,
		"PRODUCT_ADDRESS="+productAddress,
		"EMIT_TOKEN="+s.product.emitToken,
		"ADMIN_TOKEN="+s.product.adminToken,
	)
	return err
}

// awaitHealth waits until Caddy serves and has opened its store.
func (s *stage) awaitHealth(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := s.product.health(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.caddy.Done:
			return s.caddyEnded()
		case <-ctx.Done():
			return fmt.Errorf("Caddy was not ready within %s: %w. Its log ends with:\n%s", startTimeout, err, s.caddy.Tail())
		case <-time.After(pollInterval):
		}
	}
}

// watch returns a context that also ends when Caddy ends, and then has the reason as its
// cause.
func (s *stage) watch(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-s.caddy.Done:
			time.Sleep(signalGrace)
			cancel(s.caddyEnded())
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

func (s *stage) caddyEnded() error {
	return fmt.Errorf("Caddy ended (%w). Its log ends with:\n%s", s.caddy.Err, s.caddy.Tail())
}

// stop ends what was started: Caddy before the others, which Caddy calls.
func (s *stage) stop() {
	if s.caddy != nil {
		_ = s.caddy.Stop() // an error says that it had to be killed
	}
	if s.unaware != nil {
		_ = s.unaware.Close() // nobody is left who would wait for an answer
	}
	if s.receiver != nil {
		s.receiver.stop()
	}
}
