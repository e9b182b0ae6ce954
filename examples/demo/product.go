package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// product is the application whose events become webhooks: it talks to the API.
type product struct {
	api        string // URL of the API, without a slash at the end
	emitToken  string // for emitting
	adminToken string // for everything else
}

// page says where the page for admins is, and how to log in there.
func (p *product) page() string {
	return fmt.Sprintf("  %s/\n  user name: any, such as demo\n  password:  %s\n", strings.TrimSuffix(p.api, "/api"), p.adminToken)
}

// event is an event as it is emitted.
type event struct {
	Type string         `json:"event_type"`
	Data map[string]any `json:"data"`
}

// events are the events that have happened in the product.
var events = []event{
	{"group_created", map[string]any{"id": "grp_31", "name": "Berlin office"}},
	{"device_created", map[string]any{"id": "dev_1042", "hostname": "nas-7", "group_id": "grp_31", "platform": "linux"}},
	{"device_updated", map[string]any{"id": "dev_1042", "hostname": "nas-7", "changed": []string{"ip"}, "ip": "192.0.2.17"}},
	{"alert_active", map[string]any{"id": "alr_9", "severity": "warning", "name": "Disk almost full", "device_id": "dev_1042", "free_bytes": 1_288_490_188}},
	{"alert_resolved", map[string]any{"id": "alr_9", "severity": "warning", "name": "Disk almost full", "device_id": "dev_1042", "minutes": 12}},
	{"group_updated", map[string]any{"id": "grp_31", "name": "Berlin", "changed": []string{"name"}}},
	{"device_deleted", map[string]any{"id": "dev_1042", "hostname": "nas-7"}},
	{"group_deleted", map[string]any{"id": "grp_31", "name": "Berlin"}},
}

// request is one row of the log.
type request struct {
	ID          string    `json:"id"`
	EventID     string    `json:"event_id"`
	EventType   string    `json:"event_type"`
	Trigger     string    `json:"trigger"`
	Attempt     *int      `json:"attempt"`
	MaxAttempts int       `json:"max_attempts"`
	Status      string    `json:"status"`
	StatusCode  *int      `json:"status_code"`
	URL         string    `json:"url"`
	Error       string    `json:"error"`
	StartedAt   time.Time `json:"started_at"`
	DurationMS  int64     `json:"duration_ms"`
}

// health returns nil if the module can do its work.
func (p *product) health(ctx context.Context) error {
	return p.call(ctx, http.MethodGet, "/health", "", nil, nil)
}

// register registers a webhook that sends all event types to the URL.
func (p *product) register(ctx context.Context, url, secret string) error {
	webhook := map[string]any{"url": url, "secret": secret, "description": "The demo's receiver"}
	return p.call(ctx, http.MethodPost, "/webhooks", p.adminToken, webhook, nil)
}

// emit emits an event, and returns its id.
func (p *product) emit(ctx context.Context, e event) (string, error) {
	var receipt struct {
		EventID    string `json:"event_id"`
		Deliveries int    `json:"deliveries"`
	}
	if err := p.call(ctx, http.MethodPost, "/events", p.emitToken, e, &receipt); err != nil {
		return "", err
	}
	if receipt.Deliveries != 1 {
		return "", fmt.Errorf("it is sent to %d webhooks instead of 1", receipt.Deliveries)
	}
	return receipt.EventID, nil
}

// awaitDelivery waits until the event's delivery has succeeded.
func (p *product) awaitDelivery(ctx context.Context, eventID string) error {
	for {
		var state struct {
			Deliveries []struct {
				Status string `json:"status"`
			} `json:"deliveries"`
		}
		if err := p.call(ctx, http.MethodGet, "/events/"+eventID, p.adminToken, nil, &state); err != nil {
			return err
		}
		if len(state.Deliveries) != 1 {
			return fmt.Errorf("the event %s has %d deliveries instead of 1", eventID, len(state.Deliveries))
		}
		switch state.Deliveries[0].Status {
		case "success":
			return nil
		case "failed":
			return fmt.Errorf("the delivery of the event %s failed", eventID)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pollInterval):
		}
	}
}

// log reads the log of requests, oldest first.
func (p *product) log(ctx context.Context) ([]request, error) {
	var page struct {
		Data []request `json:"data"`
	}
	if err := p.call(ctx, http.MethodGet, "/requests?limit=200", p.adminToken, nil, &page); err != nil {
		return nil, err
	}
	if len(page.Data) == 0 {
		return nil, errors.New("it is empty")
	}
	slices.Reverse(page.Data)
	return page.Data, nil
}

// call calls the API. If the API answers with an error, call returns it.
func (p *product) call(ctx context.Context, method, path, token string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, p.api+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s was answered with %s: %s", method, path, resp.Status, bytes.TrimSpace(text))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}
