// Package exampletest runs examples in tests: their Caddyfiles, and the commands of their
// READMEs, with free addresses in place of theirs.
package exampletest

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // what examples use of Caddy

	_ "github.com/caddy-webhooks/caddy-webhooks/caddymodule" // what they show
	"github.com/caddy-webhooks/caddy-webhooks/internal/process"
)

// asCaddy is an environment variable that turns a test program into Caddy, so that Caddy needs no
// build of its own.
const asCaddy = "EXAMPLE_TEST_AS_CADDY"

// AdminToken is the token for admins in the Caddyfiles of examples.
const AdminToken = "admin-secret-to-try"

const (
	patience     = time.Minute // with a machine that is busy
	pollInterval = 50 * time.Millisecond
)

// Main is the TestMain of an example.
func Main(m *testing.M) {
	if os.Getenv(asCaddy) != "" {
		caddycmd.Main()
		return
	}
	os.Exit(m.Run())
}

// Example is an example that runs.
type Example struct {
	t     *testing.T
	pairs []string // what is written, and what stands in its place: free addresses, folders of the test
}

// New makes an example. It has a free address for each that it is given, and a folder for each
// of the names.
func New(t *testing.T, addresses, folders []string) *Example {
	t.Helper()
	var pairs []string
	for _, address := range addresses {
		free, err := process.FreeAddress()
		if err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, address, free)
	}
	for _, folder := range folders {
		pairs = append(pairs, folder, t.TempDir())
	}
	return &Example{t: t, pairs: pairs}
}

// Set puts another text in place of what is written.
func (e *Example) Set(written, text string) { e.pairs = append(e.pairs, written, text) }

// At is the text with the addresses and folders of this run.
func (e *Example) At(text string) string { return strings.NewReplacer(e.pairs...).Replace(text) }

// StartCaddy runs a Caddyfile, until the test ends.
func (e *Example) StartCaddy(caddyfile string, env ...string) {
	e.t.Helper()
	self, err := os.Executable()
	if err != nil {
		e.t.Fatal(err)
	}
	text, err := os.ReadFile(caddyfile)
	if err != nil {
		e.t.Fatal(err)
	}
	caddy, err := process.StartCaddy(self, e.t.TempDir(), []byte(e.At(string(text))), append(env, asCaddy+"=1")...)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			e.t.Error(err)
		}
		if e.t.Failed() {
			e.t.Logf("%s:\n%s", caddyfile, caddy.Tail())
		}
	})
}

var shBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// Curl runs the nth command of README.md that begins with curl, and returns what it prints.
func (e *Example) Curl(n int) string {
	e.t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		e.t.Fatal(err)
	}
	for _, block := range shBlock.FindAllStringSubmatch(string(readme), -1) {
		if !strings.HasPrefix(block[1], "curl ") {
			continue
		}
		if n > 0 {
			n--
			continue
		}
		output, err := exec.CommandContext(e.t.Context(), "sh", "-c", e.At(block[1])).Output()
		if err != nil {
			e.t.Fatalf("%v: %s", err, e.At(block[1]))
		}
		return string(output)
	}
	e.t.Fatal("README.md has fewer commands")
	return ""
}

// Call calls the API as an admin. It returns the status code, or 0 if nobody answers, and decodes
// a JSON answer into out unless that is nil.
func (e *Example) Call(method, url string, out any) int {
	e.t.Helper()
	r, err := http.NewRequestWithContext(e.t.Context(), method, e.At(url), http.NoBody)
	if err != nil {
		e.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+AdminToken)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	if out != nil && answer.StatusCode/100 == 2 {
		if err := json.Unmarshal(body, out); err != nil {
			e.t.Fatalf("%s %s: %v: %s", method, url, err, body)
		}
	}
	return answer.StatusCode
}

// Request is one request of the log.
type Request struct {
	ID           string `json:"id"`
	EventID      string `json:"event_id"`
	EventType    string `json:"event_type"`
	Trigger      string `json:"trigger"`
	StatusCode   int    `json:"status_code"`
	RequestBody  string `json:"request_body"`
	ResponseBody string `json:"response_body"`
}

// Requests waits until the log of the API has n requests, and returns them whole, newest first.
func (e *Example) Requests(api string, n int) []Request {
	e.t.Helper()
	var log struct{ Data []Request }
	e.Eventually("the log to have all requests", func() bool {
		return e.Call(http.MethodGet, api+"/requests", &log) == http.StatusOK && len(log.Data) >= n
	})
	if len(log.Data) != n {
		e.t.Errorf("the log has %d requests, not %d: %+v", len(log.Data), n, log.Data)
	}
	for i := range log.Data {
		if got := e.Call(http.MethodGet, api+"/requests/"+log.Data[i].ID, &log.Data[i]); got != http.StatusOK {
			e.t.Fatalf("reading a request was answered with %d", got)
		}
	}
	return log.Data
}

// Eventually waits until something is so.
func (e *Example) Eventually(what string, so func() bool) {
	e.t.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(pollInterval) {
		if time.Now().After(end) {
			e.t.Fatalf("waited %s in vain for %s", patience, what)
		}
	}
}

// WantReadmeOf checks that the Caddyfile has each line that the README shows of it.
func WantReadmeOf(t *testing.T, caddyfile string) {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(caddyfile)
	if err != nil {
		t.Fatal(err)
	}
	_, lines, _ := strings.Cut(string(readme), "```caddyfile\n")
	lines, _, _ = strings.Cut(lines, "```")
	for line := range strings.Lines(lines) {
		if !strings.Contains(string(text), "\t"+line) {
			t.Errorf("the Caddyfile has no line %q", line)
		}
	}
}
