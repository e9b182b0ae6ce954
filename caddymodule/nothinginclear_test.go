package caddymodule_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// What must not be found in a store that encrypts all, nor elsewhere. The endpoints' answers
// are found in no log either.
const (
	clearKey     = "hush-key-of-exactly-32-bytes-ok!"
	clearPayload = "hush-payload"
	clearAnswer  = "answer 500"
)

// wantNothingInClear looks for what is encrypted in all files of a folder.
func wantNothingInClear(t *testing.T, folder string) {
	t.Helper()
	files := 0
	if err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		for _, text := range append(outcries(), clearAnswer, base64.StdEncoding.EncodeToString([]byte(clearKey)), hex.EncodeToString([]byte(clearKey))) {
			if at := bytes.Index(content, []byte(text)); at >= 0 {
				t.Errorf("%s has %q: …%q…", path, text, content[max(0, at-50):min(len(content), at+100)])
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Errorf("there are no files in %s", folder)
	}
}

// TestNothingInClear does with a key all that stores keep of secrets and payloads, and looks for
// them in files, in Redis's memory, its snapshot and its append-only file, in an export of
// Caddy's storage, in the log, and in the configuration.
func TestNothingInClear(t *testing.T) {
	t.Setenv("HUSH_KEY", base64.StdEncoding.EncodeToString([]byte(clearKey)))
	data := t.TempDir()
	t.Run("embedded", func(t *testing.T) {
		folder := filepath.Join(data, "caddy", "webhooks")
		useEncrypted(t, "embedded "+folder)
		wantNothingInClear(t, folder)
		config := filepath.Join(t.TempDir(), "caddy.json")
		if err := os.WriteFile(config, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		exported := t.TempDir()
		cmd := caddyCommand(t, "storage", "export", "--config", config, "--output", filepath.Join(exported, "storage.tar"))
		cmd.Env = append(cmd.Env, "XDG_DATA_HOME="+data)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		content, err := os.ReadFile(filepath.Join(exported, "storage.tar"))
		if err != nil || !bytes.Contains(content, []byte("webhooks.db")) {
			t.Errorf("the export does not have the store: %v", err)
		}
		wantNothingInClear(t, exported)
	})
	t.Run("redis", func(t *testing.T) {
		redis := redistest.Start(t, "--appendonly", "yes", "--aof-use-rdb-preamble", "no")
		useEncrypted(t, "redis redis://"+redis.Addr)
		client := goredis.NewClient(&goredis.Options{Addr: redis.Addr})
		defer client.Close()
		if err := client.Save(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		wantNothingInClear(t, redis.Dir)
	})
}

// useEncrypted uses a site whose store encrypts all.
func useEncrypted(t *testing.T, store string) {
	t.Helper()
	endpoint := newReceiver(t)
	admin := freeAddr(t)
	s := startSite(t, siteConfig{
		webhooks: endpoint.configOf(store) + "encryption_key {env.HUSH_KEY}\nencrypt_payloads\n",
		global:   "admin " + admin, more: "metrics /metrics",
	})
	s.ready()
	endpoint.answer(http.StatusInternalServerError)
	var kept, deleted webhook
	for _, hook := range []*webhook{&kept, &deleted} {
		s.admin(http.MethodPost, "api/webhooks", `{"url":"`+endpoint.URL+`","secret":"`+plainSecret+`","authorization":{"type":"bearer","token":"`+bearerToken+`"}}`).want(t, http.StatusCreated, hook)
	}
	var emitted receipt
	s.emit(`{"event_type":"group_created","data":{"name":"`+clearPayload+`"}}`).want(t, http.StatusAccepted, &emitted)
	for range 2 * 3 {
		if got := endpoint.next(t); !strings.Contains(string(got.body), clearPayload) {
			t.Errorf("sent %s", got.body)
		}
	}
	var list requestList
	eventually(t, "the last attempts", func() bool {
		s.admin(http.MethodGet, "api/requests?status=failed", "").want(t, http.StatusOK, &list)
		return len(list.Data) == 2*3
	})
	endpoint.answer(http.StatusOK)
	s.admin(http.MethodPatch, "api/webhooks/"+kept.ID, `{"secret":"`+changedSecret+`"}`).want(t, http.StatusOK, nil)
	s.admin(http.MethodPost, "api/webhooks/"+kept.ID+"/rotate-secret", `{"secret":"`+rotatedSecret+`"}`).want(t, http.StatusOK, nil)
	s.admin(http.MethodPost, "api/webhooks/"+kept.ID+"/test", `{}`).want(t, http.StatusOK, nil)
	useCredentials(t, s.admin, "api/webhooks/"+kept.ID, endpoint)
	var one request
	for _, row := range list.Data {
		if row.WebhookID == kept.ID {
			s.admin(http.MethodPost, "api/requests/"+row.ID+"/rerun", "").want(t, http.StatusOK, nil)
			s.admin(http.MethodGet, "api/requests/"+row.ID, "").want(t, http.StatusOK, &one)
		}
	}
	if one.ResponseBody == nil || *one.ResponseBody != clearAnswer || one.RequestBody == nil || !strings.Contains(*one.RequestBody, clearPayload) {
		t.Errorf("read as %+v", one)
	}
	if got := s.admin(http.MethodGet, "api/events/"+emitted.EventID, ""); !strings.Contains(string(got.body), clearPayload) {
		t.Errorf("the event is %s", got.body)
	}
	s.admin(http.MethodDelete, "api/webhooks/"+deleted.ID, "").want(t, http.StatusNoContent, nil)
	heard := filepath.Dir(s.log)
	for name, path := range map[string]string{"metrics": "http://" + s.addr + "/metrics", "config": "http://" + admin + "/config/"} {
		if err := os.WriteFile(filepath.Join(heard, name), scrapeText(t, path), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stopSite(t)
	wantNothingInClear(t, heard)
}
