package caddymodule_test

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/internal/openapitest"
)

// TestReceiver runs the receiver that the document shows: it stores each event once, takes the
// signature by the secret that is being replaced, and refuses others.
func TestReceiver(t *testing.T) {
	const secret, event = "a secret", `{"event_type":"group_created","event_id":"0199c2a3-7e50-7d3c-9a1b-0f6d2c8e4b75","data":{}}`
	dir := t.TempDir()
	url := runReceiverExample(t, dir, secret)
	s := startSite(t, siteConfig{webhooks: "store embedded " + t.TempDir() + "\ndestinations {\nallow_http\nallow 127.0.0.0/8\n}"})
	s.ready()
	s.admin(http.MethodPost, "api/webhooks", `{"url":"`+url+`","secret":"`+secret+`"}`).want(t, http.StatusCreated, nil)
	s.emit(event).want(t, http.StatusAccepted, nil)
	var list requestList
	eventually(t, "the request to be in the log", func() bool {
		return json.Unmarshal(s.admin(http.MethodGet, "api/requests", "").body, &list) == nil && len(list.Data) == 1
	})
	var again request
	s.admin(http.MethodPost, "api/requests/"+list.Data[0].ID+"/rerun", "").want(t, http.StatusOK, &again)
	if list.Data[0].Status != "success" || again.Status != "success" {
		t.Errorf("the event: %+v, again: %+v", list.Data[0], again)
	}

	body := strings.Replace(event, "0199", "0200", 1)
	for _, tc := range []struct {
		header, signature string
		want              int
	}{
		{"X-Level-Signature", delivery.Signature("another", []byte(body)), http.StatusUnauthorized},
		{"X-Other", delivery.Signature(secret, []byte(body)), http.StatusUnauthorized},
		{"X-Level-Signature-Previous", delivery.Signature(secret, []byte(body)), http.StatusNoContent},
	} {
		if got, err := exchangeWith(http.DefaultClient, http.MethodPost, url, body, tc.header, tc.signature); err != nil || got.Status != tc.want {
			t.Errorf("%s: %v, %v, want %d", tc.header, got, err, tc.want)
		}
	}
	const read = `import sqlite3; print(*[id[:4] for (id,) in sqlite3.connect("inbox.db").execute("SELECT id FROM events ORDER BY id")])`
	if got := strings.TrimSpace(runExample(t, dir, "", "python3", "-c", read)); got != "0199 0200" {
		t.Errorf("the inbox has %q", got)
	}
}

// runReceiverExample runs it in a folder and gives its URL.
func runReceiverExample(t *testing.T, dir, secret string) string {
	t.Helper()
	addr := freeAddr(t)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	program := blocks(t, receivingFile, "### Python", "python")[0] + blocks(t, receivingFile, "## The same event again", "python")[0]
	if strings.Count(program, "9000") != 1 {
		t.Fatalf("there is not one port 9000 in\n%s", program)
	}
	file := filepath.Join(dir, "receiver.py")
	if err := os.WriteFile(file, []byte(strings.Replace(program, "9000", port, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("python3", file)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "WEBHOOK_SECRET="+secret)
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatalf("python3 (scripts/need examples installs it): %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(output.String())
		}
	})
	eventually(t, "the receiver to listen", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return false
		}
		_ = conn.Close()
		return true
	})
	return "http://" + addr + "/"
}

// TestReceivedPayload holds the payload that the document shows against the OpenAPI document.
func TestReceivedPayload(t *testing.T) {
	t.Parallel()
	shown := blocks(t, receivingFile, "## What you get", "json")
	o, err := openapitest.Standard()
	if err != nil {
		t.Fatal(err)
	}
	_, place := o.At(o.Root, "webhooks", "device_created", "post", "requestBody", "content", "application/json", "schema")
	for _, payload := range shown {
		if err := o.CheckJSON(place, []byte(payload)); err != nil {
			t.Errorf("%s: %v", payload, err)
		}
	}
}
