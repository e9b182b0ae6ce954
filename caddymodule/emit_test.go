package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/caddymodule"
)

const emitLines = `
	webhooks_emit /created device_created {
		on 201 202
	}
	webhooks_emit /request device_updated {
		data request
		id {header.Idempotency-Key}
	}
	webhooks_emit /text group_created {
		data ` + "`" + `{"id": "{http.request.body.device.ids.1}", "n": {http.request.body.n}, "at": "{http.response.header.Location}", "status": {http.response.status}, "path": "{path}", "none": "{http.nothing}", "body": "{http.request.body}"}` + "`" + `
		id "{http.request.body.device.name}"
		tenant "{header.X-Tenant}"
	}
	webhooks_emit /named from_header {
		max_size 100
	}
	webhooks_emit /also/* from_header X-Event
	reverse_proxy $product
`

// emitCases are requests, and the events that come of them. A case without an event has the
// outcome that is counted, or none.
var emitCases = []struct {
	name, path, body string
	headers          []string
	event, data, id  string
	outcome          string
}{
	{name: "response", path: "/created", headers: []string{"X-Status", "201", "X-Body", `{"a": 1.0}`}, event: "device_created", data: `{"a": 1.0}`},
	{name: "no body", path: "/created", headers: []string{"X-Status", "202"}, event: "device_created", data: `{}`},
	{name: "text", path: "/created", headers: []string{"X-Status", "202", "X-Body", `"quoted" & <so>`}, event: "device_created", data: `{"body":"\"quoted\" & <so>"}`, outcome: "not_json"},
	{name: "array", path: "/created", headers: []string{"X-Status", "202", "X-Body", `[1]`}, event: "device_created", data: `{"body":"[1]"}`, outcome: "not_json"},
	{name: "another status", path: "/created", headers: []string{"X-Status", "200", "X-Body", `{}`}},
	{name: "error", path: "/created", headers: []string{"X-Status", "500", "X-Body", `{}`}},
	{name: "another path", path: "/other", headers: []string{"X-Body", `{}`}},
	{name: "gzip", path: "/created", headers: []string{"X-Status", "201", "X-Encoding", "gzip", "X-Body", `{"g":1}`}, event: "device_created", data: `{"g":1}`},
	{name: "zstd", path: "/created", headers: []string{"X-Status", "201", "X-Encoding", "zstd", "X-Body", `{"z":1}`}, event: "device_created", data: `{"z":1}`},
	{name: "br", path: "/created", headers: []string{"X-Status", "201", "X-Encoding", "br", "X-Body", `{"b":1}`}, event: "device_created", data: `{"b":1}`},
	{name: "unknown encoding", path: "/created", headers: []string{"X-Status", "201", "X-Encoding", "rot13", "X-Body", `{}`}, outcome: "invalid"},

	{name: "request", path: "/request", body: `{"q":1}`, headers: []string{"X-Body", "no JSON"}, event: "device_updated", data: `{"q":1}`},
	{name: "request with a key", path: "/request", body: `{"q":2}`, headers: []string{"Idempotency-Key", "abc"}, event: "device_updated", data: `{"q":2}`, id: uuid.NewSHA1(uuid.NameSpaceURL, []byte("default/abc")).String()},
	{name: "request with a UUID", path: "/request", headers: []string{"Idempotency-Key", "0190A1B2-C3D4-7E5F-8A9B-0C1D2E3F4A5B"}, event: "device_updated", data: `{}`, id: "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"},

	{
		name: "placeholders", path: "/text", body: `{"device":{"ids":[1,"two \"\u00e9"],"name":"x"},"n":12345678901234567890}`,
		headers: []string{"X-Set-Location", "/devices/1", "X-Tenant", "default"}, event: "group_created",
		data: `{"id": "two \"é", "n": 12345678901234567890, "at": "/devices/1", "status": 200, "path": "/text", "none": "", "body": "{\"device\":{\"ids\":[1,\"two \\\"\\u00e9\"],\"name\":\"x\"},\"n\":12345678901234567890}"}`,
		id:   uuid.NewSHA1(uuid.NameSpaceURL, []byte("default/x")).String(),
	},
	{name: "no tenant", path: "/text", body: `{"n":1}`, outcome: "invalid"},

	{name: "header", path: "/named", headers: []string{"X-Set-Webhook-Event", "alert_active", "X-Body", `{"h":1}`}, event: "alert_active", data: `{"h":1}`},
	{name: "header with an id", path: "/named", headers: []string{"X-Set-Webhook-Event", "alert_active", "X-Set-Webhook-Event-Id", "7", "X-Body", `{"h":1}`}, event: "alert_active", data: `{"h":1}`, id: uuid.NewSHA1(uuid.NameSpaceURL, []byte("default/7")).String()},
	{name: "no header", path: "/named", headers: []string{"X-Body", `{"h":1}`}},
	{name: "unknown type", path: "/named", headers: []string{"X-Set-Webhook-Event", "nonsense", "X-Body", `{}`}, outcome: "unknown_type"},
	{name: "header on an error", path: "/named", headers: []string{"X-Status", "500", "X-Set-Webhook-Event", "alert_active"}},
	{name: "too large", path: "/named", headers: []string{"X-Set-Webhook-Event", "alert_active", "X-Body", `{"x":"` + strings.Repeat("x", 100) + `"}`}, outcome: "too_large"},
	{name: "too large decoded", path: "/named", headers: []string{"X-Encoding", "gzip", "X-Set-Webhook-Event", "alert_active", "X-Body", `{"x":"` + strings.Repeat("x", 1000) + `"}`}, outcome: "too_large"},
	{name: "another header", path: "/also/x", headers: []string{"X-Set-X-Event", "alert_active", "X-Set-Webhook-Event", "group_created", "X-Body", `{"o":1}`}, event: "alert_active", data: `{"o":1}`},
}

// TestEmit makes events of answers in all forms.
func TestEmit(t *testing.T) {
	s := startEmitSite(t, product(t), "", emitLines)
	for _, c := range emitCases {
		t.Run(c.name, func(t *testing.T) {
			before := s.counted()
			res := s.do(http.MethodPost, c.path, c.body, append([]string{"Accept-Encoding", "identity"}, c.headers...)...)
			if res.header.Get("X-Read") == "" {
				t.Fatalf("the application did not answer: %d %s", res.status, res.body)
			}
			if c.path == "/named" && (res.header["Webhook-Event"] != nil || res.header["Webhook-Event-Id"] != nil) || c.path == "/also/x" && res.header["X-Event"] != nil {
				t.Error("the client sees a header that is for Caddy")
			}
			if c.event != "" {
				ev := s.event()
				if ev.Type != c.event || string(ev.Data) != c.data || c.id != "" && ev.ID.String() != c.id {
					t.Errorf("got %s %s %s, want %s %s %s", ev.Type, ev.ID, ev.Data, c.event, c.id, c.data)
				}
				if since := time.Since(ev.OccurredAt); since < -time.Minute || since > patience {
					t.Errorf("it occurred at %s", ev.OccurredAt)
				}
				if c.outcome == "" {
					c.outcome = "emitted"
				}
			}
			if c.outcome != "" {
				s.wantCounted(before, c.outcome)
			}
		})
	}
	events := 0
	for _, c := range emitCases {
		if c.event != "" {
			events++
		}
	}
	s.requests("limit=200", events)
}

// TestEmitIncompleteID has requests lack what their id is made of: each is an event of its own.
func TestEmitIncompleteID(t *testing.T) {
	s := startEmitSite(t, product(t), "", `
		webhooks_emit /order device_created {
			data request
			id "order-{http.request.body.id}"
		}
		reverse_proxy $product
	`)
	const name = "gateway_ids_incomplete_total"
	metric := func() float64 { return scrape(t, "http://"+s.addr+"/metrics")[name] }
	before := metric()
	caddymodule.ForgetOutcomes()
	seen := make(map[string]bool)
	for _, body := range []string{`{"n":1}`, `{"n":2}`, `{"n":3}`, `{"id":7}`} {
		s.do(http.MethodPost, "/order", body).want(t, http.StatusOK, nil)
		seen[s.event().ID.String()] = true
	}
	if !seen[uuid.NewSHA1(uuid.NameSpaceURL, []byte("default/order-7")).String()] || len(seen) != 4 {
		t.Errorf("the events have the ids %v", seen)
	}
	if n, lines := metric()-before, s.lines("the id of an event from traffic lacked a part"); n != 3 || lines != 1 {
		t.Errorf("%v are counted, with %d lines of the log", n, lines)
	}
}

// TestEmitOnce repeats a request: with an id it is one event.
func TestEmitOnce(t *testing.T) {
	s := startEmitSite(t, product(t), "", emitLines)
	before := s.counted()
	for range 3 {
		s.do(http.MethodPost, "/request", `{"n":1}`, "Idempotency-Key", "once").want(t, http.StatusOK, nil)
	}
	s.event()
	eventually(t, "all to be counted", func() bool { return s.counted()["emitted"] == before["emitted"]+3 })
	s.requests("", 1)
}
