package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
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
		if len(w.URL) > sender.MaxURLLength || len(w.Secret) > maxSecretLength || len(w.EventTypes) > maxWebhookTypes {
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

// FuzzCall: whatever a caller sends, the answer is JSON of a status that the
// contract has. The store is not open, so calls end where they would need it.
func FuzzCall(f *testing.F) {
	for _, call := range Calls() {
		method, path, _ := strings.Cut(call, " ")
		path = "/" + strings.Replace(path, "*", "0199a1b2-0000-7000-8000-000000000001", 1)
		f.Add(method, path, "", "a", "application/json", []byte(`{"url":"https://example.com/","event_type":"alert_active","data":{}}`))
		f.Add(method, path, "limit=1&status=failed&since=2026-03-13T18:30:00Z&cursor=AQ", "", "application/merge-patch+json; charset=utf-8", []byte(`{}`))
	}
	store := &RedisStore{Addresses: []string{"127.0.0.1:1"}} // where nobody is
	if err := store.resolve(caddy.NewReplacer()); err != nil {
		f.Fatal(err)
	}
	app := &App{store: store, log: zap.NewNop()}
	if err := app.resolve(caddy.NewReplacer()); err != nil {
		f.Fatal(err)
	}
	if err := app.acquire(app.store); err != nil {
		f.Fatal(err)
	}
	if err := app.Start(); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := app.Cleanup(); err != nil {
			f.Error(err)
		}
	})
	h := &Handler{app: app, access: access{open: true}, tenant: "{http.request.header.X-Tenant}", log: app.log}
	f.Fuzz(func(t *testing.T, method, path, query, tenant, mediaType string, body []byte) {
		r := &http.Request{
			Method: method, URL: &url.URL{Path: path, RawQuery: query}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
			Header: http.Header{"X-Tenant": {tenant}, "Content-Type": {mediaType}},
		}
		repl := caddyhttp.NewTestReplacer(r)
		r = r.WithContext(context.WithValue(t.Context(), caddy.ReplacerCtxKey, repl))
		w := httptest.NewRecorder()
		if err := h.ServeHTTP(w, r, nil); err != nil {
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

// FuzzCaddyfile: whatever stands in the two blocks of the Caddyfile, it is refused
// with an error that names the place, or becomes a configuration that can be
// provisioned, or is refused then.
func FuzzCaddyfile(f *testing.F) {
	for _, seed := range []string{
		"store redis redis://user:hush@localhost:6379/1",
		"store redis redis://a:1 redis://b:2 {\nkey_prefix p\npartitions 4\n}",
		"store redis {\naddress a:1 b:2\nsentinel main\nsentinel_username u\nsentinel_password p\nusername u\npassword p\ndb 1\ntls\n}",
		"event_types a b {env.X}\nsignature_header X-Sig\nstandard_webhooks",
		"retry {\nattempts 3\ndelay 2m\njitter 1s 60s\n}\ntimeout 15s\nconcurrency 512 32\nretention 14d",
		"max_event_size 1MiB\nmax_response_size 16KiB",
		"destinations {\nallow_http\nallow 127.0.0.0/8 ::1\ndeny 198.51.100.0/24\nproxy socks5://p:1\ntrusted_ca nowhere.pem\n}",
		"emit_token {env.X}\nadmin_token \"a b\"\nadmin_user {http.auth.user.id}\ntenant a{header.X}\ninsecure_no_auth",
		"{", "}", "retry {", "timeout <<X\n1s\nX", "timeout \\\n1s", "store { }", "retry { { } }", "`", "\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, lines string) {
		tokens, err := caddyfile.Tokenize([]byte("webhooks {\n"+lines+"\n}"), "Caddyfile")
		if err != nil {
			return // Caddy's own
		}
		config := map[string]json.RawMessage{"store": json.RawMessage(`{"module":"redis","addresses":["localhost:1"]}`)}
		parsed, err := parseApp(caddyfile.NewDispenser(tokens), nil)
		if err != nil {
			wantPlace(t, err)
		} else if err := json.Unmarshal(parsed.(httpcaddyfile.App).Value, &config); err != nil {
			t.Fatal(err)
		}
		handler := new(Handler)
		if err := handler.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens)); err != nil {
			wantPlace(t, err)
			handler = new(Handler)
		}
		if strings.Contains(lines, "{file.") || strings.Contains(lines, "trusted_ca") {
			return // there are files that never end
		}
		provision(t, config, handler)
	})
}

// provision does with a configuration what "caddy validate" does.
func provision(t *testing.T, config map[string]json.RawMessage, handler *Handler) {
	t.Helper()
	quiet := &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{
		WriterRaw: json.RawMessage(`{"output":"discard"}`),
	}}}}
	routes := caddyhttp.RouteList{{HandlersRaw: []json.RawMessage{caddyconfig.JSONModuleObject(handler, "handler", "webhooks", nil)}}}
	apps := caddy.ModuleMap{
		"webhooks": caddyconfig.JSON(config, nil),
		"http":     caddyconfig.JSON(map[string]any{"servers": map[string]any{"one": map[string]any{"routes": routes}}}, nil),
	}
	err := caddy.Validate(&caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}, Logging: quiet, AppsRaw: apps})
	if err != nil && !strings.Contains(err.Error(), "webhooks: ") {
		t.Errorf("an error of another kind: %v", err)
	}
	engines.Range(func(key, _ any) bool {
		t.Errorf("the engine of %v is left", key)
		return false
	})
}

// wantPlace wants an error that says where in the file the mistake is.
func wantPlace(t *testing.T, err error) {
	t.Helper()
	if !strings.Contains(err.Error(), ", at Caddyfile:") {
		t.Errorf("no file and line: %v", err)
	}
}

// wantRefusal wants an answer that says what is wrong with the call.
func wantRefusal(t *testing.T, err error) {
	t.Helper()
	p, ok := errors.AsType[*problem](err)
	if !ok || p.Status < 400 || p.Status > 499 {
		t.Errorf("refused with %v", err)
	}
}
