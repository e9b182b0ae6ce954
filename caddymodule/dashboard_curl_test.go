package caddymodule_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// curlCases are requests that a shell, a terminal or curl itself could change.
var curlCases = map[string]struct{ path, data, secret string }{
	"plain":    {"/in", `{"hostname":"nas-7"}`, ""},
	"quotes":   {"/it's?a='b'&c=\"d\"", `{"text":"it's $HOME, $(id), ` + "`id`" + `, !!, \\ and \n"}`, "it's a secret"},
	"controls": {"/in", "{\r\n\t\"text\": \"a\x7fb\u009b31m\u202ec\u2028d\u00a0e\ufeff it's \\\\ !!\"\n\n}", "plain text"},
	"scripts":  {"/größe", `{"text":"Größe 寸法 👩‍💻 ❤️"}`, "whsec_" + "bWFueSByYW5kb20gYnl0ZXM="},
	"dots":     {"/a/../b/./c//d/%2e%2E/", `{}`, ""},
	"globs":    {"/{in}?a=[1-3]&b={x,y}&c=100%25&d=~*&e=ü|^", `{}`, ""},
	"query":    {"?", `{}`, ""},
	"long":     {"/in", `{"text":"` + strings.Repeat("0123456789abcdef", 140*64) + `"}`, "long"},
}

// testCurl pastes the command that the page has for a request into a terminal. What
// arrives is the request again.
func testCurl(t *testing.T, d *dashboard) {
	endpoint := newRecorder(t)
	for name, c := range curlCases {
		secret := ""
		if c.secret != "" {
			secret = fmt.Sprintf(`,"secret":%q`, c.secret)
		}
		var webhook struct{ ID string }
		d.api(http.MethodPost, "webhooks", fmt.Sprintf(`{"url":%q%s}`, endpoint.URL+c.path, secret), http.StatusCreated, &webhook)
		event := uuid.NewString()
		d.api(http.MethodPost, "events", fmt.Sprintf(`{"event_id":%q,"event_type":"device_created","data":%s}`, event, c.data), http.StatusAccepted, nil)
		want := endpoint.next(t)
		d.logs("event_id="+event, 1)
		d.visit("#requests?event_id=" + event)
		d.openNewest()
		d.eval(`navigator.clipboard.writeText = async (text) => { window.copied = text; };
			document.querySelectorAll("#detail details").forEach((details) => { details.open = true; });`)
		d.click("button", "Copy curl command")
		d.until(`window.copied`)
		command := d.text(`window.copied`)
		if shown := d.text(`document.querySelector("#detail [aria-label='curl command']").innerText`); shown != command {
			t.Errorf("%s: the page shows %.500q, and copies %.500q", name, shown, command)
		}
		command = strings.Replace(command, "the secret of the webhook", strings.ReplaceAll(c.secret, "'", `'\''`), 1)
		for _, bracketed := range []bool{false, true} {
			screen := paste(t, command, bracketed, "CURL_CA_BUNDLE="+endpoint.ca)
			endpoint.wantAgain(t, name, want, c.secret, screen)
		}
		d.api(http.MethodDelete, "webhooks/"+webhook.ID, "", http.StatusNoContent, nil)
	}
}

// recorder is an endpoint that keeps what it gets.
type recorder struct {
	*httptest.Server
	ca  string
	got chan recorded
}

type recorded struct {
	uri    string
	header http.Header
	body   string
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	r := &recorder{got: make(chan recorded, 100), ca: startReceiver(t, false).ca} // all servers of httptest have one certificate
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err == nil {
			r.got <- recorded{req.RequestURI, req.Header, string(body)}
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) next(t *testing.T) recorded {
	t.Helper()
	select {
	case got := <-r.got:
		return got
	case <-time.After(patience):
		t.Fatal("nothing was sent")
		panic("unreachable")
	}
}

// wantAgain checks that curl sent a request again, signed anew.
func (r *recorder) wantAgain(t *testing.T, name string, want recorded, secret, screen string) {
	t.Helper()
	var got recorded
	select {
	case got = <-r.got:
	default:
		t.Errorf("%s: nothing came of\n%.3000q", name, screen)
		return
	}
	if got.uri != want.uri || got.body != want.body {
		t.Errorf("%s: got %q and %.300q, want %q and %.300q", name, got.uri, got.body, want.uri, want.body)
	}
	expected := want.header.Clone()
	seconds, err := strconv.ParseInt(got.header.Get("Webhook-Timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > time.Minute {
		t.Errorf("%s: the time is %q", name, got.header.Get("Webhook-Timestamp"))
	}
	expected.Set("Webhook-Timestamp", got.header.Get("Webhook-Timestamp"))
	if secret != "" {
		expected.Set("X-Level-Signature", delivery.Signature(secret, []byte(want.body)))
		expected.Set("Webhook-Signature", delivery.StandardSignature(secret, want.header.Get("Webhook-Id"), time.Unix(seconds, 0), []byte(want.body)))
	}
	expected.Set("Accept", "*/*") // which is curl's own
	for header := range got.header {
		if got.header.Get(header) != expected.Get(header) {
			t.Errorf("%s: %s is %q, want %q", name, header, got.header.Get(header), expected.Get(header))
		}
		expected.Del(header)
	}
	for header := range expected {
		if header != "Accept-Encoding" {
			t.Errorf("%s: %s is missing", name, header)
		}
	}
}

// paste pastes a text into a terminal in which bash runs, and returns what the
// terminal shows once bash has ended. Newer terminals mark where it begins and ends.
func paste(t *testing.T, text string, bracketed bool, env ...string) string {
	t.Helper()
	folder := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	bash := exec.CommandContext(ctx, "bash", "--norc", "--noprofile", "-i")
	bash.Dir = folder
	bash.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + folder, "TERM=xterm", "LANG=C.UTF-8", "PS1=ready> ", "HISTFILE="}, env...)
	terminal, err := pty.Start(bash)
	if err != nil {
		t.Fatal(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = terminal.Close() }) // bash may wait for more
	defer stop()
	var screen strings.Builder
	for buffer := make([]byte, 4096); !strings.Contains(screen.String(), "ready> "); {
		n, err := terminal.Read(buffer)
		if err != nil {
			t.Fatalf("%v after %q", err, screen.String())
		}
		screen.Write(buffer[:n])
	}
	typed := strings.ReplaceAll(text, "\n", "\r")
	if bracketed {
		typed = "\x1b[200~" + typed + "\x1b[201~"
	}
	go func() { _, _ = io.WriteString(terminal, typed+"\rexit\r") }() // ends at the latest with the terminal
	// Linux says EIO when the last program has left the terminal.
	if _, err := io.Copy(&screen, terminal); err != nil && !errors.Is(err, syscall.EIO) && !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	if err := bash.Wait(); err != nil {
		t.Errorf("bash: %v", err)
	}
	if made, err := filepath.Glob(filepath.Join(folder, "*")); err != nil || len(made) > 0 {
		t.Errorf("the command made %q: %v", made, err)
	}
	return screen.String()
}
