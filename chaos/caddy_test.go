package chaos

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/internal/process"
)

// patience bounds every wait for what must happen. No test waits that long unless it fails;
// but at the end of an hour's soak, Redis takes minutes to load its file.
const patience = 10 * time.Minute

//go:embed Caddyfile
var caddyfile []byte

// caddy is a Caddy in a process of its own.
type caddy struct {
	t     *testing.T
	name  string
	dir   string
	api   string // the URL of its API
	admin string // the URL of its admin endpoint
	env   []string
	child *process.Process // nil until it is started
}

// newCaddy makes a Caddy with a store, written as in a Caddyfile. It ends with the test.
func newCaddy(t *testing.T, name, store string) *caddy {
	t.Helper()
	site, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	admin, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	c := &caddy{
		t: t, name: name, dir: t.TempDir(),
		api: "http://" + site + "/hooks/api", admin: "http://" + admin,
		env: []string{
			asCaddy + "=1",
			"STORE=" + store,
			"SITE_ADDRESS=http://" + site,
			"ADMIN_ADDRESS=" + admin,
			"TOKEN=" + token,
		},
	}
	t.Cleanup(func() {
		if t.Failed() && c.child != nil {
			t.Logf("%s printed:\n%s", name, c.tail())
		}
		c.kill()
	})
	return c
}

// start starts the process, and waits for nothing.
func (c *caddy) start() {
	c.t.Helper()
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	if c.child, err = process.StartCaddy(self, c.dir, caddyfile, c.env...); err != nil {
		c.t.Fatal(err)
	}
}

// ready waits until the Caddy is well.
func (c *caddy) ready() {
	c.t.Helper()
	eventually(c.t, c.name+" to be well", func() error {
		select {
		case <-c.child.Done:
			c.t.Fatalf("%s ended: %v\n%s", c.name, c.child.Err, c.tail())
		default:
		}
		return c.health()
	})
}

// health returns nil if the Caddy says that it is well, and otherwise what it says.
func (c *caddy) health() error {
	r, err := do(c.t.Context(), http.MethodGet, c.api+"/health", tenantName(0), nil)
	if err != nil {
		return err
	}
	return r.want(http.StatusOK, nil)
}

// kill ends the process as kill -9 does. Before that, it may not have printed that
// something is wrong with the program itself.
func (c *caddy) kill() {
	if c.child == nil {
		return
	}
	c.child.Kill()
	text, err := os.ReadFile(c.child.Log)
	if err != nil {
		c.t.Error(err)
	}
	for _, bad := range []string{"panic: ", "DATA RACE", "fatal error: "} {
		if i := bytes.Index(text, []byte(bad)); i >= 0 {
			c.t.Errorf("%s printed %s", c.name, text[i:min(len(text), i+4000)])
		}
	}
	c.child = nil
}

// lines are the lines that the process has printed, but for those about deliveries that
// failed as they were meant to.
func (c *caddy) lines() (lines []string) {
	text, err := os.ReadFile(c.child.Log)
	if err != nil {
		c.t.Error(err)
	}
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, "delivery failed for good") {
			lines = append(lines, line)
		}
	}
	return lines
}

// tail is the end of what the process has printed.
func (c *caddy) tail() string {
	const most = 20
	lines := c.lines()
	return strings.Join(lines[max(0, len(lines)-most):], "")
}

// reload loads the configuration again, like caddy reload --force.
func (c *caddy) reload() error {
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.admin+"/load", bytes.NewReader(caddyfile))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/caddyfile")
	req.Header.Set("Cache-Control", "must-revalidate")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("a reload was answered %s", resp.Status)
	}
	return nil
}

// metric reads a metric, summed up over its labels.
func (c *caddy) metric(ctx context.Context, name string) (sum float64, err error) {
	r, err := do(ctx, http.MethodGet, c.admin+"/metrics", "", nil)
	if err != nil {
		return 0, err
	}
	found := false
	for lines := bufio.NewScanner(bytes.NewReader(r.body)); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), name)
		if !ok || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		value, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			return 0, err
		}
		sum, found = sum+value, true
	}
	if !found {
		return 0, fmt.Errorf("%s has no metric %s", c.name, name)
	}
	return sum, nil
}

// eventually asks again and again until there is no error.
func eventually(t *testing.T, what string, ask func() error) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s: %v", what, err)
		}
	}
}
