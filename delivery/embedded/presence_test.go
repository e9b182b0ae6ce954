package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// TestFilesGone takes the files of an open store away. It must not acknowledge anything
// until they are back.
func TestFilesGone(t *testing.T) {
	for name, take := range map[string]func(t *testing.T, folder string){
		"folder deleted": func(t *testing.T, folder string) { t.Helper(); must(t, os.RemoveAll(folder)) },
		"folder moved":   func(t *testing.T, folder string) { t.Helper(); must(t, os.Rename(folder, folder+"-moved")) },
		"folder replaced": func(t *testing.T, folder string) {
			t.Helper()
			must(t, os.Rename(folder, folder+"-moved"))
			must(t, os.CopyFS(folder, os.DirFS(folder+"-moved")))
		},
		"journal deleted":   func(t *testing.T, folder string) { t.Helper(); must(t, os.Remove(filepath.Join(folder, journalName))) },
		"database replaced": func(t *testing.T, folder string) { t.Helper(); replace(t, filepath.Join(folder, fileName)) },
		"a file above": func(t *testing.T, folder string) {
			t.Helper()
			must(t, os.Rename(folder, folder+"-moved"))
			must(t, os.WriteFile(folder, nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				folder := filepath.Join(t.TempDir(), "webhooks")
				s := open(t, folder)
				load := storetest.Load{Store: s}
				load.Begin(t)
				calls, accepted := load.Accept(t, 1, true)
				take(t, folder)
				time.Sleep(presenceEvery)
				for what, err := range map[string]error{
					"Accept":   s.Accept(t.Context(), delivery.AcceptBatch{Calls: []delivery.AcceptCall{load.Call(1, false)}})[0].Err,
					"Complete": errors.Join(s.Complete(t.Context(), []delivery.Outcome{outcome(s, &calls[0], &accepted[0])})...),
					"Ping":     s.Ping(t.Context(), 0),
				} {
					if !errors.Is(err, delivery.ErrUnavailable) || !strings.Contains(err.Error(), "a file that Caddy has open") {
						t.Errorf("%s: %v", what, err)
					}
				}
				if _, _, err := s.Event(t.Context(), calls[0].Tenant, calls[0].Events[0].ID); err != nil {
					t.Errorf("reading: %v", err)
				}
				if _, err := os.Stat(folder + "-moved"); err != nil {
					return
				}
				must(t, os.RemoveAll(folder))
				must(t, os.Rename(folder+"-moved", folder))
				time.Sleep(presenceEvery)
				load.Accept(t, 1, false)
				if err := s.Ping(t.Context(), 0); err != nil {
					t.Errorf("back again: %v", err)
				}
			})
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// replace puts a copy of a file in its place.
func replace(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path+".new", content, 0o600))
	must(t, os.Rename(path+".new", path))
}
