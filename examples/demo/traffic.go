package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/examples/traffic/devices"
)

// createsDevice is what the product that knows nothing of webhooks is asked for.
const createsDevice = `{"hostname":"nas-8"}`

// startUnaware serves a product that knows nothing of webhooks, at the address that it returns.
func startUnaware(stopped func(error)) (*http.Server, string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", fmt.Errorf("the product found no free port: %w", err)
	}
	server := &http.Server{Handler: devices.Handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			stopped(err)
		}
	}()
	return server, listener.Addr().String(), nil
}

// emitLines are the lines of the Caddyfile that make events of the traffic.
func emitLines() string {
	_, rest, _ := strings.Cut(string(caddyfile), "\twebhooks_emit ")
	lines, _, _ := strings.Cut(rest, "\n\t}\n")
	return "  webhooks_emit " + strings.NewReplacer("\n\t", "\n  ", "\t", "  ").Replace(lines) + "\n  }\n"
}

// showTraffic uses the product that knows nothing of webhooks, and returns the id of the event
// that Caddy makes of that. The others are those that were emitted before.
func (d *demo) showTraffic(ctx context.Context, s *stage, others []string) (string, error) {
	fmt.Fprintf(d.out, "\nUsing a product that knows nothing of webhooks, with three lines in the Caddyfile:\n\n%s\n", emitLines())
	answer, err := s.createDevice(ctx)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(d.out, "  asked:     POST /devices %s\n  answered:  %s\n", createsDevice, answer)
	ctx, cancel := context.WithTimeoutCause(ctx, deliveryTimeout, errors.New("the traffic made no event"))
	defer cancel()
	e, err := s.product.awaitEvent(ctx, "device_created", others)
	if err != nil {
		return "", cmp.Or(context.Cause(ctx), err)
	}
	fmt.Fprintf(d.out, "  the event: device_created %s\n\n", e.Data)
	return e.ID, nil
}

// createDevice uses the product as its own clients do, and returns the answer.
func (s *stage) createDevice(ctx context.Context) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.site+"/devices", strings.NewReader(createsDevice))
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	return answer.Status + " " + string(bytes.TrimSpace(body)), nil
}

// storedEvent is an event as the API tells of it.
type storedEvent struct {
	ID   string          `json:"event_id"`
	Data json.RawMessage `json:"data"`
}

// awaitEvent waits for an event of the type that is none of the others.
func (p *product) awaitEvent(ctx context.Context, eventType string, others []string) (storedEvent, error) {
	for {
		var list struct {
			Data []storedEvent `json:"data"`
		}
		if err := p.call(ctx, http.MethodGet, "/events?event_type="+eventType, p.adminToken, nil, &list); err != nil {
			return storedEvent{}, err
		}
		for _, e := range list.Data {
			if !slices.Contains(others, e.ID) {
				err := p.call(ctx, http.MethodGet, "/events/"+e.ID, p.adminToken, nil, &e)
				return e, err
			}
		}
		select {
		case <-ctx.Done():
			return storedEvent{}, context.Cause(ctx)
		case <-time.After(pollInterval):
		}
	}
}
