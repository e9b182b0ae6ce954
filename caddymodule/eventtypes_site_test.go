package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEventTypesOfFiles declares a type in the Caddyfile: events are checked by its schema, a
// test event has its example, and a reload reads the files anew.
func TestEventTypesOfFiles(t *testing.T) {
	endpoint := newReceiver(t)
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("schema.json", `{"properties":{"items":{"items":{"properties":{"price":{"type":"number"}}}}}}`)
	write("example.json", `{"items":[{"price":0.10}]}`)
	t.Setenv("WEBHOOKS_TEST_DIR", dir)
	// The types of the OpenAPI document that exchanges are held against are the eight.
	config := siteConfig{webhooks: endpoint.configOf("embedded "+t.TempDir()) + `
		event_type group_created {
			description "A group."
			schema {env.WEBHOOKS_TEST_DIR}/schema.json
			example {env.WEBHOOKS_TEST_DIR}/example.json
		}`}
	s := startSite(t, config)
	s.subscribe(endpoint)
	const wrong = `{"event_type":"group_created","data":{"items":[{"price":1},{"price":"1"}]}}`
	if got := s.emit(wrong).wantProblem(t, http.StatusUnprocessableEntity); got.Errors[0].Field != "data.items.1.price" {
		t.Errorf("got %+v", got)
	}
	s.emit(`{"event_type":"group_created","data":{"items":[{"price":1}]}}`).want(t, http.StatusAccepted, nil)
	if got := endpoint.next(t); !strings.HasSuffix(string(got.body), `"data":{"items":[{"price":1}]}}`) {
		t.Errorf("got %s", got.body)
	}
	s.emit(`{"event_type":"group_updated","data":{}}`).wantProblem(t, http.StatusUnprocessableEntity)

	var list struct{ Data []struct{ ID string } }
	if err := json.Unmarshal(s.admin(http.MethodGet, "api/webhooks", "").body, &list); err != nil {
		t.Fatal(err)
	}
	s.admin(http.MethodPost, "api/webhooks/"+list.Data[0].ID+"/test", "").want(t, http.StatusOK, nil)
	if got := endpoint.next(t); !strings.HasSuffix(string(got.body), `"data":{"items":[{"price":0.10}]}}`) {
		t.Errorf("got %s", got.body)
	}

	write("schema.json", `{}`)
	if err := s.load(config); err != nil {
		t.Fatal(err)
	}
	s.emit(wrong).want(t, http.StatusAccepted, nil)
}
