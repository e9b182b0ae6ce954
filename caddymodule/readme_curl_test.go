package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// TestReadmeCurls does what the README says to do by curl, all calls of the API,
// and checks the signature of what it sends as the README says.
func TestReadmeCurls(t *testing.T) {
	endpoint := newReceiver(t)
	s := startSite(t, siteConfig{webhooks: endpoint.config(redistest.Start(t).Addr) + "\naudit"})
	ids := sentRequest(s, endpoint)

	commands := strings.Join(readmeBlocks(t, "Use", "sh"), "")
	for from, to := range map[string]string{
		"https://example.com/hooks/api": "http://" + s.addr + "/hooks/api",
		"https://receiver.example/in":   endpoint.URL,
	} {
		if !strings.Contains(commands, from) {
			t.Fatalf("there is no %s in the README", from)
		}
		commands = strings.ReplaceAll(commands, from, to)
	}
	statuses := map[string]int{
		"POST api/events":       http.StatusAccepted,
		"POST api/webhooks":     http.StatusCreated,
		"POST api/replays":      http.StatusAccepted,
		"DELETE api/replays/*":  http.StatusNoContent,
		"DELETE api/webhooks/*": http.StatusNoContent,
		"DELETE api/events/*":   http.StatusNoContent,
		// This delivery has ended.
		"DELETE api/events/*/deliveries/*":    http.StatusConflict,
		"POST api/events/*/deliveries/*/send": http.StatusConflict,
	}
	var calls []string
	for _, args := range curls(t, commands, ids) {
		c := parseCurl(t, args)
		_, path, _ := strings.Cut(c.url, "/hooks/")
		path, _, _ = strings.Cut(path, "?")
		for _, id := range ids {
			path = strings.ReplaceAll(path, id, "*")
		}
		call := c.method + " " + path
		calls = append(calls, call)
		want := statuses[call]
		if want == 0 {
			want = http.StatusOK
		}
		if got, err := try(c.method, c.url, c.body, c.headers...); err != nil || got.status != want {
			t.Errorf("curl %q: got %d, %v: %s", args, got.status, err, got.body)
		}
	}
	wantCalls(t, calls)

	for {
		got := endpoint.next(t)
		if signature := got.header.Get("X-Level-Signature"); signature != "" {
			checkVerify(t, got.body, signature)
			checkVerifyElsewhere(t, got.body, signature)
			return
		}
	}
}

// sentRequest makes the ids that the README's commands need: of an event, of its
// webhook and of the request that was sent.
func sentRequest(s *caddySite, endpoint *receiver) map[string]string {
	s.t.Helper()
	s.subscribe(endpoint)
	s.emit(`{"event_type":"device_created","data":{}}`).want(s.t, http.StatusAccepted, nil)
	var page struct {
		Data []struct {
			ID        string
			WebhookID string `json:"webhook_id"`
			EventID   string `json:"event_id"`
		}
	}
	eventually(s.t, "the request to be in the log", func() bool {
		err := json.Unmarshal(s.admin(http.MethodGet, "api/requests", "").body, &page)
		return err == nil && len(page.Data) == 1
	})
	sent := page.Data[0]
	var replay struct{ ID, State string }
	if err := json.Unmarshal(s.admin(http.MethodPost, "api/replays", `{"since":"2120-01-01T00:00:00Z"}`).body, &replay); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "the end of a replay", func() bool {
		err := json.Unmarshal(s.admin(http.MethodGet, "api/replays/"+replay.ID, "").body, &replay)
		return err == nil && replay.State == "done"
	})
	return map[string]string{"EVENT": sent.EventID, "WEBHOOK": sent.WebhookID, "REQUEST": sent.ID, "REPLAY": replay.ID}
}

// readmeSecret is the secret that the README's commands make.
const readmeSecret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

// curls has a shell read commands in which curl does nothing but print its arguments,
// and openssl makes always the same secret. They may use the tokens and these variables.
func curls(t *testing.T, commands string, variables map[string]string) [][]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", `curl() { printf '%s\0' $# "$@"; }
		openssl() { [ "$*" = "rand -base64 32" ] && echo `+strings.TrimPrefix(readmeSecret, "whsec_")+`; }
		`+commands)
	cmd.Env = []string{"EMIT_TOKEN=" + emitToken, "ADMIN_TOKEN=" + adminToken}
	for name, value := range variables {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all [][]string
	for words := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); len(words) > 0; {
		n, err := strconv.Atoi(words[0])
		if err != nil || n >= len(words) {
			t.Fatalf("the shell printed %q", out)
		}
		all = append(all, words[1:1+n])
		words = words[1+n:]
	}
	return all
}

type curl struct {
	method, url, body string
	headers           []string // pairs
}

// parseCurl reads the arguments of curl, and fails the test if there is one that
// it does not know.
func parseCurl(t *testing.T, args []string) curl {
	t.Helper()
	var c curl
	for len(args) > 0 {
		if !strings.HasPrefix(args[0], "-") && c.url == "" {
			c.url, args = args[0], args[1:]
			continue
		}
		if len(args) == 1 {
			t.Fatalf("curl: what is %q?", args)
		}
		switch option, value := args[0], args[1]; option {
		case "-X":
			c.method = value
		case "-H":
			name, value, _ := strings.Cut(value, ": ")
			c.headers = append(c.headers, name, value)
		case "-d":
			c.body = value
		default:
			t.Fatalf("curl: what is %q?", args)
		}
		args = args[2:]
	}
	switch {
	case c.method != "":
	case c.body != "":
		c.method = http.MethodPost
	default:
		c.method = http.MethodGet
	}
	if c.body != "" && !slices.Contains(c.headers, "Content-Type") {
		c.headers = append(c.headers, "Content-Type", "application/x-www-form-urlencoded") // as curl does
	}
	return c
}
