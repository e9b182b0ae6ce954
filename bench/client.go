package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
)

const (
	// oneTenant is the tenant of workloads that need only one.
	oneTenant = "bench"
	// settingUp is how many calls of the API are made at a time outside of measurements.
	settingUp = 16
)

// client is the HTTP client for the API and the bare loop. The default client would keep
// two idle connections only.
var client = &http.Client{Transport: &http.Transport{MaxIdleConns: 0, MaxIdleConnsPerHost: 256, DisableCompression: true}}

// call calls the API as an emitter and admin, and decodes the answer's JSON unless answer
// is nil.
func (r *rig) call(ctx context.Context, method, tenant, path string, body []byte, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, r.api+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Tenant", tenant)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 == 2 && answer == nil {
		_, err := io.Copy(io.Discard, resp.Body)
		return err
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	return json.Unmarshal(text, answer)
}

func (r *rig) health(ctx context.Context) error {
	return r.call(ctx, http.MethodGet, oneTenant, "/health", nil, nil)
}

func (r *rig) emit(ctx context.Context, tenant string, body []byte) error {
	return r.call(ctx, http.MethodPost, tenant, "/events", body, nil)
}

// subscribe creates a webhook that wants the events of one type.
func (r *rig) subscribe(ctx context.Context, tenant, url, eventType string) error {
	body, err := json.Marshal(map[string]any{"url": url, "secret": r.token, "event_types": []string{eventType}})
	if err != nil {
		return err
	}
	return r.call(ctx, http.MethodPost, tenant, "/webhooks", body, nil)
}

// subscribeTenants creates webhooks of that many tenants. Each tenant has an endpoint of
// its own, and a webhook there for each of that many event types.
func (r *rig) subscribeTenants(ctx context.Context, tenants, types int, path func(tenant int) string) error {
	endpoints := make([]string, tenants)
	for i := range endpoints {
		var err error
		if endpoints[i], err = r.sink.listen(); err != nil {
			return err
		}
	}
	return each(ctx, settingUp, tenants*types, func(ctx context.Context, i int) error {
		t := i % tenants
		return r.subscribe(ctx, tenantName(t), endpoints[t]+path(t), typeName(i/tenants))
	})
}

func tenantName(i int) string { return fmt.Sprintf("tenant-%d", i) }

// typeName is the name of an event type. For 0 to 9 all have the same length.
func typeName(i int) string { return fmt.Sprintf("alert_type_%d", i) }

// each calls do with 0 to n-1, several at a time, until one call fails.
func each(ctx context.Context, atOnce, n int, do func(ctx context.Context, i int) error) error {
	var next atomic.Int64
	g := newGroup(ctx)
	for range atOnce {
		g.start(func(ctx context.Context) error {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				if err := do(ctx, i); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
	}
	return g.wait()
}
