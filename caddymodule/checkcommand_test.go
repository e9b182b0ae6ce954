package caddymodule_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/embedded"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// TestCheckCommand checks a store that is whole, one that is damaged, and what was salvaged
// of it.
func TestCheckCommand(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "webhooks")
	store := embedded.New(folder)
	if err := store.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	load := storetest.Load{Store: store}
	load.Begin(t)
	load.Accept(t, 10, false)
	copied := filepath.Join(t.TempDir(), "salvaged")
	wantCheck(t, 1, "another process has", folder)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	wantCheck(t, 0, "the store is whole", folder)
	wantCheck(t, 2, "name one folder")
	wantCheck(t, 2, "name one folder", folder, folder)
	wantCheck(t, 2, "name one folder", folder, "--salvage", "")
	wantCheck(t, 2, "unknown flag", folder, "--repair")
	wantCheck(t, 1, "there is no store in", t.TempDir())
	wantCheck(t, 1, "is not empty", folder, "--salvage", folder)

	path := filepath.Join(folder, "webhooks.db")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[strings.LastIndex(string(content), "alert_active")] ^= 1
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	wantCheck(t, 1, "webhooks.db: a record cannot be read: events", folder)
	wantCheck(t, 1, "were copied to "+copied, folder, "--salvage", copied)
	wantCheck(t, 0, "the store is whole", copied)
}

// wantCheck runs the command, and checks its exit code and what it says.
func wantCheck(t *testing.T, code int, says string, args ...string) {
	t.Helper()
	out, err := caddyCommand(t, append([]string{"webhooks", "check"}, args...)...).CombinedOutput()
	got := 0
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if got != code || !strings.Contains(string(out), says) {
		t.Errorf("check %q exits with %d, want %d: %s", args, got, code, out)
	}
}
