package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/embedded"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// FuzzEventInput: whatever an emitter sends, it is refused with a problem or becomes
// events whose data are the very bytes that were sent. What plainEvents reads is what
// readEvents reads, too.
func FuzzEventInput(f *testing.F) {
	for _, seed := range []string{
		`{"event_type":"alert_active","data":{}}`,
		`[{"event_type":"alert_active","data":{"n":1.0e400,"s":"é\u0000"},"event_id":"0199A1B2-0000-7000-8000-000000000001","occurred_at":"2026-03-13T18:30:00.5+02:00"}]`,
		`[]`, `[{}]`, `{"data":null}`, `{"event_type":"alert_active","event_type":"x"}`, "\xff", `[[[[`, ` [ { "data" : { } } , `,
		`{"event_type":"alert\u005factive","data":{}}`, `{"event_typ\u0065":"alert_active","data":{}}`, `{"event_type":"alert_active","data":{}} x`,
		` [ { "data" : { "a" : [ ] } , "event_type" : "alert_active" } , { "event_type" : "alert_resolved" , "data" : { } } ] `,
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	standard, err := NewEventTypes(nil)
	if err != nil {
		f.Fatal(err)
	}
	anyType, err := NewEventTypes([]string{delivery.AllEventTypes})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, anyName bool) {
		types := standard
		if anyName {
			types = anyType
		}
		for _, maxEventSize := range []int64{64, 1 << 20} {
			fuzzEvents(t, body, types, maxEventSize)
		}
	})
}

func fuzzEvents(t *testing.T, body []byte, types *EventTypes, maxEventSize int64) {
	t.Helper()
	scratch := takeScratch()
	defer scratch.giveBack()
	plain, isPlain := scratch.plainEvents(body, types, maxEventSize)
	c := &call{body: body, api: &API{Backend: Backend{EventTypes: types, MaxEventSize: maxEventSize}}}
	events, err := c.readEvents()
	if isPlain && (err != nil || !reflect.DeepEqual(plain, events)) {
		t.Errorf("%q is read as %v and %v, %v", body, plain, events, err)
	}
	if err != nil {
		wantRefusal(t, err)
		return
	}
	for i := range events {
		data := jsontext.Value(events[i].Data)
		if data.Kind() != jsontext.KindBeginObject || !data.IsValid() || !bytes.Contains(body, data) {
			t.Errorf("data %q of %q", data, body)
		}
	}
}

// FuzzWebhookInput: an input is refused with a problem that does not repeat its
// secret, or makes a webhook that is within its limits.
func FuzzWebhookInput(f *testing.F) {
	for _, seed := range []string{
		`{"url":"https://example.com/","secret":"hush","event_types":["*"]}`,
		`{"url":"http://[::ffff:127.0.0.1]:0/#x","enabled":null,"description":null}`,
		`{"secret":{"a":"hush"}}`, `{"event_types":["alert_active",null,"*"]}`, `{"URL":"x"}`, `null`, `[]`,
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	types, err := NewEventTypes(nil)
	if err != nil {
		f.Fatal(err)
	}
	settings := delivery.DefaultSettings()
	b := &Backend{EventTypes: types, Settings: &settings}
	f.Fuzz(func(t *testing.T, body []byte, create bool) {
		var in webhookInput
		err := decode(body, &in)
		if err == nil {
			err = in.check(b, create)
		}
		if err != nil {
			wantRefusal(t, err)
			return
		}
		var w delivery.Webhook
		in.apply(&w)
		if len(w.URL) > sender.MaxURLLength || len(w.Secret) > maxSecretLength || len(w.EventTypes) > maxWebhookTypes {
			t.Errorf("beyond its limits: %+v", w)
		}
		if create && (w.URL == "" || settings.Destinations.CheckURL(w.URL) != nil) {
			t.Errorf("the URL %q was let through", w.URL)
		}
	})
}

// FuzzCursor: a cursor is refused, or is the one that its id gives.
func FuzzCursor(f *testing.F) {
	f.Add("")
	f.Add("AQ")
	f.Add(encodeCursor(delivery.FirstID(time.Unix(1, 0))))
	f.Fuzz(func(t *testing.T, cursor string) {
		id, ok := decodeCursor(cursor)
		if ok && encodeCursor(id) != cursor {
			t.Errorf("%q is read as %s, whose cursor is %q", cursor, id, encodeCursor(id))
		}
		if place, ok := decodeEventCursor(cursor); ok && (encodeEventCursor(place) != cursor || place == "") {
			t.Errorf("%q is read as the place %q of events", cursor, place)
		}
	})
}

// FuzzCall: whatever a caller sends, the answer is JSON of a status that the
// contract has. The store is not open, so calls end where they would need it.
func FuzzCall(f *testing.F) {
	for i := range routes {
		path := "/" + strings.Replace(routes[i].path, "*", "0199a1b2-0000-7000-8000-000000000001", 1)
		for _, op := range routes[i].operations {
			f.Add(op.method, path, "", "a", "application/json", []byte(`{"url":"https://example.com/","event_type":"alert_active","data":{}}`))
			f.Add(op.method, path, "limit=1&status=failed&since=2026-03-13T18:30:00Z&cursor=AQ", "", "application/merge-patch+json; charset=utf-8", []byte(`{}`))
		}
	}
	types, err := NewEventTypes(nil)
	if err != nil {
		f.Fatal(err)
	}
	settings := delivery.DefaultSettings()
	engine := delivery.NewEngine(embedded.New(filepath.Join(f.TempDir(), "\x00"))) // a folder that cannot be
	detach := engine.Attach(settings, zap.NewNop())
	f.Cleanup(func() {
		detach()
		if err := engine.Close(context.Background()); err != nil {
			f.Error(err)
		}
	})
	a := New(Backend{
		Engine: engine, EventTypes: types, Settings: &settings, MaxEventSize: 1 << 20,
		InForce: context.Background(), Log: zap.NewNop(),
	})
	f.Fuzz(func(t *testing.T, method, path, query, tenant, mediaType string, body []byte) {
		r := &http.Request{
			Method: method, URL: &url.URL{Path: path, RawQuery: query}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
			Header: http.Header{"Content-Type": {mediaType}},
		}
		w := httptest.NewRecorder()
		if err := a.Serve(w, r.WithContext(t.Context()), Caller{Role: Admin, Tenant: tenant, Serving: t.Context()}); err != nil {
			t.Fatal(err)
		}
		page := w.Code == 200 && !strings.Contains(w.Header().Get("Content-Type"), "json")
		if !page && !jsontext.Value(w.Body.Bytes()).IsValid() {
			t.Errorf("answered %d with %q", w.Code, w.Body)
		}
		switch w.Code {
		case 200: // what needs no store
		case 400, 404, 405, 413, 415, 422, 503:
			if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("answered %d as %s", w.Code, got)
			}
		default:
			t.Errorf("answered %d: %s", w.Code, w.Body)
		}
	})
}

// wantRefusal wants an answer that says what is wrong with the call.
func wantRefusal(t *testing.T, err error) {
	t.Helper()
	p, ok := errors.AsType[*problem](err)
	if !ok || p.Status < 400 || p.Status > 499 {
		t.Errorf("refused with %v", err)
	}
}
