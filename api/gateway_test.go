package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

// TestAsData holds what counts as the data of an event to what POST /api/events takes.
func TestAsData(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                         `{}`,
		" \r\n\t{\"a\": 1.50}\n":     `{"a": 1.50}`,
		`{"a":{"b":[1,"x"]}}`:        `{"a":{"b":[1,"x"]}}`,
		`{"n":12345678901234567890}`: `{"n":12345678901234567890}`,
	} {
		if got, ok := api.AsData([]byte(text)); !ok || string(got) != want {
			t.Errorf("%q: got %q, %t", text, got, ok)
		}
	}
	for _, text := range []string{
		"", " ", "[]", "1", `"{}"`, "null", "{", `{"a":}`, "{}{}", "{} x", `{"a":1,"a":2}`, "{\"a\":\"\xff\"}", "\ufeff{}",
		strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000),
	} {
		if got, ok := api.AsData([]byte(text)); ok {
			t.Errorf("%.40q is taken as %.40q", text, got)
		}
	}
}

// TestBodyAsData wraps texts of all kinds.
func TestBodyAsData(t *testing.T) {
	for text, want := range map[string]string{
		"hello": "hello", `say "no"` + "\n\x00": `say "no"` + "\n\x00", "a\xffb": "a\uFFFDb", "": "", "</script>\u2028": "</script>\u2028",
	} {
		data, ok := api.AsData(api.BodyAsData([]byte(text)))
		var got map[string]string
		if err := json.Unmarshal(data, &got); err != nil || !ok || len(got) != 1 || got["body"] != want {
			t.Errorf("%q: %s, %v", text, data, err)
		}
	}
}

// TestCheckType asks for types with and without a list.
func TestCheckType(t *testing.T) {
	listed, err := api.NewEventTypes([]string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	anyName, err := api.NewEventTypes([]string{"*"})
	if err != nil {
		t.Fatal(err)
	}
	if listed.CheckType("a") != nil || listed.CheckType("b") == nil || listed.CheckType("*") == nil || listed.CheckType("") == nil {
		t.Error("a list does not decide")
	}
	if anyName.CheckType("b") != nil || anyName.CheckType("*") == nil || anyName.CheckType("") == nil || anyName.CheckType("a\n") == nil {
		t.Error("* takes what is no name, or not all that are")
	}
}
