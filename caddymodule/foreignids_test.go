package caddymodule_test

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/internal/openapitest"
)

// foreignCall is a call that one tenant makes with something of another's. If path or body has
// a %s, it is made with an id that the other tenant has, and with one that nobody has.
type foreignCall struct{ path, body, id, none string }

// with puts an id in its place.
func (c *foreignCall) with(id string) (path, body string) {
	return strings.Replace(c.path, "%s", id, 1), strings.Replace(c.body, "%s", id, 1)
}

// foreignCalls are the calls to try of each operation. onlyOnes is an event that two does
// not have until it emits it, another one that it never has.
func foreignCalls(one, two *tenant, onlyOnes, another string) map[string][]foreignCall {
	webhook, event, request := nobodys(one.webhook), nobodys(onlyOnes), nobodys(one.request)
	calls := map[string][]foreignCall{
		"POST api/events": {
			{"api/events", `{"event_type":"group_deleted","data":{"of":"of/two"}}`, "", ""},
			{"api/events", `{"event_type":"group_deleted","data":{"of":"of/two"},"event_id":"%s"}`, onlyOnes, event},
		},
		"GET api/events/*":    {{"api/events/%s", "", onlyOnes, event}},
		"DELETE api/events/*": {{"api/events/%s", "", onlyOnes, event}},
		"GET api/event-types": {{"api/event-types", "", "", ""}},
		"GET api/webhooks":    {{"api/webhooks", "", "", ""}, {"api/webhooks?cursor=%s", "", one.webhookCursor, nobodysCursor(one.webhookCursor)}},
		"POST api/webhooks":   {{"api/webhooks", `{"url":"` + two.endpoint.URL + `/of/two/too","enabled":false}`, "", ""}},
		"GET api/webhooks/*":  {{"api/webhooks/%s", "", one.webhook, webhook}},
		"PATCH api/webhooks/*": {
			{"api/webhooks/%s", `{"enabled":false}`, one.webhook, webhook},
			{"api/webhooks/%s", `{}`, one.webhook, webhook},
		},
		"DELETE api/webhooks/*": {{"api/webhooks/%s", "", one.webhook, webhook}},
		"POST api/webhooks/*/test": {
			{"api/webhooks/%s/test", "{}", one.webhook, webhook},
			{"api/webhooks/%s/test", `{"event_type":"group_created"}`, one.webhook, webhook},
			{"api/webhooks/" + two.webhook + "/test", `{"event_id":"%s"}`, another, nobodys(another)},
		},
		"POST api/webhooks/*/rotate-secret": {
			{"api/webhooks/%s/rotate-secret", "{}", one.webhook, webhook},
			{"api/webhooks/%s/rotate-secret", `{"grace":"0s"}`, one.webhook, webhook},
		},
		"POST api/expressions":      {{"api/expressions", `{"filter":"true","event_id":"%s"}`, onlyOnes, event}},
		"GET api/requests/*":        {{"api/requests/%s", "", one.request, request}},
		"POST api/requests/*/rerun": {{"api/requests/%s/rerun", "", one.request, request}},
		"GET api/requests": {
			{"api/requests", "", "", ""},
			{"api/requests?webhook_id=%s", "", one.webhook, webhook},
			{"api/requests?webhook_id=%s&status=success&event_type=group_created", "", one.webhook, webhook},
			{"api/requests?event_id=%s", "", onlyOnes, event},
			{"api/requests?event_id=" + noID + "&webhook_id=%s", "", one.webhook, webhook},
			{"api/requests?cursor=%s", "", one.cursor, nobodysCursor(one.cursor)},
		},
		"GET api/audit":          {{"api/audit", "", "", ""}, {"api/audit?cursor=%s", "", one.auditCursor, nobodysCursor(one.auditCursor)}},
		"GET api/stats":          {{"api/stats", "", "", ""}},
		"GET api/stats/webhooks": {{"api/stats/webhooks", "", "", ""}, {"api/stats/webhooks?webhook_ids=%s", "", one.webhook, webhook}},
		"GET api/health":         {{"api/health", "", "", ""}},
		"GET api/openapi.json":   {{"api/openapi.json", "", "", ""}},
	}
	position := one.position()
	calls["GET api/requests/stream"] = []foreignCall{
		{"api/requests/stream", "", "", ""},
		{"api/requests/stream?last_event_id=0-0", "", "", ""},
		{"api/requests/stream?last_event_id=%s", "", position, nobodysCursor(position)},
		{"api/requests/stream?webhook_id=%s", "", one.webhook, webhook},
		{"api/requests/stream?event_id=%s", "", onlyOnes, event},
	}
	maps.Copy(calls, foreignDeliveries(one, onlyOnes))
	maps.Copy(calls, foreignReplays(one))
	return calls
}

// foreignDeliveries are those of foreignCalls that are about deliveries.
func foreignDeliveries(one *tenant, onlyOnes string) map[string][]foreignCall {
	webhook, event := nobodys(one.webhook), nobodys(onlyOnes)
	return map[string][]foreignCall{
		"GET api/events": {
			{"api/events", "", "", ""},
			{"api/events?cursor=%s", "", one.eventCursor, one.eventCursor}, // a place in time, which everybody has
		},
		"GET api/deliveries": {
			{"api/deliveries?status=success", "", "", ""},
			{"api/deliveries?webhook_id=%s", "", one.webhook, webhook},
			{"api/deliveries?cursor=%s", "", one.deliveryCursor, nobodysCursor(one.deliveryCursor)},
		},
		"DELETE api/events/*/deliveries/*": {
			{"api/events/" + onlyOnes + "/deliveries/%s", "", one.webhook, webhook},
			{"api/events/%s/deliveries/" + one.webhook, "", onlyOnes, event},
		},
		"POST api/events/*/deliveries/*/send": {
			{"api/events/" + onlyOnes + "/deliveries/%s/send", "", one.webhook, webhook},
			{"api/events/%s/deliveries/" + one.webhook + "/send", "", onlyOnes, event},
		},
	}
}

// foreignReplays are those of foreignCalls that are about replays.
func foreignReplays(one *tenant) map[string][]foreignCall {
	replay := nobodys(one.replay)
	return map[string][]foreignCall{
		"GET api/replays":      {{"api/replays", "", "", ""}},
		"GET api/replays/*":    {{"api/replays/%s", "", one.replay, replay}},
		"DELETE api/replays/*": {{"api/replays/%s", "", one.replay, replay}},
		"POST api/replays": {
			{"api/replays", `{"since":"2120-01-01T00:00:00Z"}`, "", ""},
			{"api/replays", `{"since":"2020-01-01T00:00:00Z","webhook_id":"%s"}`, one.webhook, nobodys(one.webhook)},
		},
	}
}

// nobodys is an id that differs from another one only in what is random, so that it would be in the
// same place.
func nobodys(id string) string {
	other := []byte(id)
	for i, c := range other[len(id)-12 : len(id)-4] {
		other[len(id)-12+i] = "123456789abcdef0"[strings.IndexByte("0123456789abcdef", c)]
	}
	return string(other)
}

// nobodysCursor is nobodys for what ends with an id and is encoded.
func nobodysCursor(cursor string) string {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		panic(err)
	}
	raw[len(raw)-5]++
	return base64.RawURLEncoding.EncodeToString(raw)
}

// wantIDsTried fails the test unless each id that operations take is tried with a foreign one.
func wantIDsTried(t *testing.T, calls map[string][]foreignCall) {
	t.Helper()
	operations, err := openapitest.Operations()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range operations {
		if len(calls[name]) == 0 {
			t.Errorf("%s is not tried: add it", name)
		}
		ids, err := openapitest.IDs(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			if !slices.ContainsFunc(calls[name], func(c foreignCall) bool { return c.takes(id) }) {
				t.Errorf("%s is not tried with the %s of another tenant: add it", name, id)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		if !slices.Contains(operations, name) {
			t.Errorf("%s is no operation", name)
		}
	}
}

// takes says whether the call is made with an id as the parameter, the member of the body, or the
// part of the path, if that is *.
func (c *foreignCall) takes(id string) bool {
	return strings.Contains(c.path, id+"=%s") || strings.Contains(c.body, `"`+id+`":"%s"`) ||
		id == "*" && strings.Contains(c.path, "/%s")
}
