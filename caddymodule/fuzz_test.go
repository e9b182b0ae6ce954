package caddymodule

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// FuzzEventInput: whatever an emitter sends, it is refused with a problem or
// becomes events whose data are the very bytes that were sent.
func FuzzEventInput(f *testing.F) {
	for _, seed := range []string{
		`{"event_type":"alert_active","data":{}}`,
		`[{"event_type":"alert_active","data":{"n":1.0e400,"s":"é\u0000"},"event_id":"0199A1B2-0000-7000-8000-000000000001","occurred_at":"2026-03-13T18:30:00.5+02:00"}]`,
		`[]`, `[{}]`, `{"data":null}`, `{"event_type":"alert_active","event_type":"x"}`, "\xff", `[[[[`, ` [ { "data" : { } } , `,
	} {
		f.Add([]byte(seed))
	}
	types, err := newEventTypes(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var inputs []eventInput
		var err error
		if isArray(body) {
			inputs, err = decodeEvents(body, 1<<20)
		} else {
			inputs = make([]eventInput, 1)
			err = decode(body, &inputs[0])
		}
		if err != nil {
			wantRefusal(t, err)
			return
		}
		for i := range inputs {
			var errs fieldErrors
			event := inputs[i].check(&types, &errs)
			if err := errs.problem(); err != nil {
				wantRefusal(t, err)
				continue
			}
			data := jsontext.Value(event.Data)
			if data.Kind() != jsontext.KindBeginObject || !data.IsValid() || !bytes.Contains(body, event.Data) {
				t.Errorf("data %q of %q", event.Data, body)
			}
		}
	})
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
	app := &App{settings: delivery.DefaultSettings()}
	var err error
	if app.types, err = newEventTypes(nil); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, create bool) {
		var in webhookInput
		err := decode(body, &in)
		if err == nil {
			err = in.check(app, create)
		}
		if err != nil {
			wantRefusal(t, err)
			return
		}
		var w delivery.Webhook
		in.apply(&w)
		if len(w.URL) > delivery.MaxURLLength || len(w.Secret) > maxSecretLength || len(w.EventTypes) > maxWebhookTypes {
			t.Errorf("beyond its limits: %+v", w)
		}
		if create && (w.URL == "" || app.settings.Destinations.CheckURL(w.URL) != nil) {
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
