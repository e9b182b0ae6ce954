// Command demo shows the module at work, with everything on this machine. It starts a Caddy
// of its own, registers a webhook, emits one event of each type, has another made of the traffic
// that passes, receives them, checks their signatures, and prints the log of requests. Then it keeps running until Ctrl-C, so that
// you can try things.
//
// make demo runs it, after building Caddy.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// failsOnce is the event type whose first request the receiver answers with 500.
const failsOnce = "alert_resolved"

// deliveryTimeout is how long it may take to deliver all events.
const deliveryTimeout = 30 * time.Second

func main() {
	var d demo
	flag.StringVar(&d.caddy, "caddy", "bin/caddy", "the Caddy to run, built with this module")
	flag.BoolVar(&d.once, "once", false, "exit when the log has been printed")
	flag.Parse()
	d.out = os.Stdout

	// This comes first, so that an early Ctrl-C cleans up, too.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := d.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "\nThe demo failed: %v\n", err)
		os.Exit(1)
	}
}

type demo struct {
	caddy string // path of the Caddy to run
	once  bool   // whether to end when the log has been printed
	out   io.Writer
}

// run plays the demo. It returns without an error when ctx is done, or with one when
// something has failed. It leaves nothing behind that it has started or written.
func (d *demo) run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "caddy-webhooks-demo-")
	if err != nil {
		return err
	}
	err = d.play(ctx, dir)
	if removeErr := os.RemoveAll(dir); removeErr != nil {
		return removeErr
	}
	select {
	case <-ctx.Done():
		fmt.Fprintln(d.out, "\nStopped; nothing is left behind.")
		return nil
	default:
		return err
	}
}

func (d *demo) play(ctx context.Context, dir string) error {
	s := &stage{dir: dir, caddyPath: d.caddy, out: d.out}
	defer s.stop()
	if err := s.start(ctx); err != nil {
		return err
	}
	ctx, cancel := s.watch(ctx)
	defer cancel()
	fmt.Fprintf(d.out, "\nThe page for admins, where everything that follows shows up live:\n\n%s\n", s.product.page())
	log, err := d.show(ctx, s)
	if err == nil && !d.once {
		d.invite(s, log)
		s.receiver.report(d.out)
		<-ctx.Done()
	}
	return cmp.Or(context.Cause(ctx), err)
}

// show registers the webhook, emits the events, by the API and by the traffic, and prints the
// log.
func (d *demo) show(ctx context.Context, s *stage) ([]request, error) {
	p := s.product
	fmt.Fprintf(d.out, "Registering a webhook for %s\n", s.receiver.url)
	if err := p.register(ctx, s.receiver.url, s.receiver.secret); err != nil {
		return nil, fmt.Errorf("the webhook could not be registered: %w", err)
	}
	fmt.Fprintf(d.out, "Emitting one event of each type; the receiver fails the first request of %s\n", failsOnce)
	var ids []string
	for _, e := range events {
		id, err := p.emit(ctx, e)
		if err != nil {
			return nil, fmt.Errorf("the event %s could not be emitted: %w", e.Type, err)
		}
		ids = append(ids, id)
	}
	id, err := d.showTraffic(ctx, s, ids)
	if err != nil {
		return nil, fmt.Errorf("the traffic did not become an event: %w", err)
	}
	ids = append(ids, id)
	fmt.Fprintln(d.out, "Waiting until all are delivered")
	waiting, cancel := context.WithTimeoutCause(ctx, deliveryTimeout,
		fmt.Errorf("not all events were delivered within %s", deliveryTimeout))
	defer cancel()
	for _, id := range ids {
		if err := p.awaitDelivery(waiting, id); err != nil {
			return nil, cmp.Or(context.Cause(waiting), err)
		}
	}
	log, err := p.log(ctx)
	if err != nil {
		return nil, fmt.Errorf("the log could not be read: %w", err)
	}
	fmt.Fprintf(d.out, "\nThe log of requests, and whether the receiver found each signature right:\n\n")
	return log, printLog(d.out, log, s.receiver.verdicts())
}

// invite says what to try, in lines that can be copied as they are.
func (d *demo) invite(s *stage, log []request) {
	id := log[0].ID
	for _, r := range log {
		if r.Status == "failed" {
			id = r.ID
		}
	}
	fmt.Fprintf(d.out, `
Everything keeps running. Open the page first: it shows all of this and more.

%[6]s
Or use the API, in another terminal:

  # Emit an event, as the product does: with a token that may do little else
  curl %[3]s -H 'Content-Type: application/json' \
    -d '{"event_type":"device_created","data":{"hostname":"printer-2"}}' %[1]s/events

  # Use the product that knows nothing of webhooks, and have Caddy emit an event
  curl -d '{"hostname":"nas-9"}' %[7]s/devices

  # Read the request that failed: what was sent and what came back
  curl %[2]s %[1]s/requests/%[4]s

  # Send it again
  curl -X POST %[2]s %[1]s/requests/%[4]s/rerun

  # List the webhooks, and the log, newest first
  curl %[2]s %[1]s/webhooks
  curl %[2]s '%[1]s/requests?limit=5'

  # Ask whether all is well, which anyone may
  curl %[1]s/health

Caddy's own log is %[5]s
Ctrl-C ends everything. Until then the receiver reports what arrives:

`, s.product.api, authorization(s.product.adminToken), authorization(s.product.emitToken), id, s.caddy.Log, s.product.page(), s.site)
}

// authorization is a token as an argument of curl.
func authorization(token string) string { return "-H 'Authorization: Bearer " + token + "'" }
