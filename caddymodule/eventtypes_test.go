package caddymodule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

// TestEventTypeErrors has declarations that keep Caddy from loading a configuration. Each error
// names the type, the option and the file.
func TestEventTypeErrors(t *testing.T) {
	t.Setenv("WEBHOOKS_TEST_EMPTY", "")
	dir := t.TempDir()
	write := func(name, content string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	schema := write("schema.json", `{"required":["id"]}`)
	text, remote, empty := write("text", "{\n\t\"id\": x}"), write("remote.json", `{"$ref":"https://example.com/schema"}`), write("empty", "")
	large := write("large.json", `{"description":"`+strings.Repeat("x", api.MaxTypeFile)+`"}`)
	for _, tc := range []struct {
		app  App
		want string
	}{
		{App{DeclaredEventTypes: []EventType{{}}}, "event_type : name is empty"},
		{App{DeclaredEventTypes: []EventType{{Name: "*"}}}, "event_type: * cannot be an event type"},
		{App{DeclaredEventTypes: []EventType{{Name: "a", Schema: "{env.WEBHOOKS_TEST_EMPTY}"}}}, "event_type a: schema is empty"},
		{App{DeclaredEventTypes: []EventType{{Name: "a", Schema: "/does/not/exist"}}}, "event_type a: schema: open /does/not/exist: no such file or directory"},
		{App{DeclaredEventTypes: []EventType{{Name: "a", Example: "/does/not/exist"}}}, "event_type a: example: open /does/not/exist: no such file or directory"},
		{App{DeclaredEventTypes: []EventType{{Name: "a", Schema: dir}}}, "event_type a: schema: read " + dir},
		{App{DeclaredEventTypes: []EventType{{Name: "a", Schema: empty}}}, "event_type a: schema: " + empty + ": the file is empty"},
		{App{DeclaredEventTypes: []EventType{{Name: "a", Schema: text}}}, "event_type a: schema: " + text + ": the file is not JSON: Line 2, column 8 (byte offset 9): a value was expected"},
		{App{DeclaredEventTypes: []EventType{{Name: "a", Schema: remote}}}, "event_type a: schema: " + remote + ": https://example.com/schema is outside of the schema"},
		{App{DeclaredEventTypes: []EventType{{Name: "a", Schema: large}}}, "event_type a: schema: " + large + ": the file is larger than 256 KiB"},
		{App{DeclaredEventTypes: []EventType{{Name: "a", Schema: schema, Example: schema}}}, "event_type a: example: " + schema + ": data.id does not fit the schema: The schema requires this member."},
		{App{MaxEventSize: 10, DeclaredEventTypes: []EventType{{Name: "a", Example: schema}}}, "event_type a: example: " + schema + " is larger than an event may be by max_event_size"},
	} {
		if err := tc.app.resolve(caddy.NewReplacer()); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
}
