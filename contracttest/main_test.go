package contracttest

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
	"github.com/caddy-webhooks/caddy-webhooks/internal/process"
)

const (
	emitToken   = "emit-token-of-the-contract-test"
	oldToken    = "emit-token-before-the-rotation"
	adminToken  = "admin-token-of-the-contract-test"
	viewerToken = "viewer-token-of-the-contract-test"
	acmeToken   = "admin-token-of-the-tenant-acme"

	// deadline is how long anything may take on a busy machine.
	deadline  = 60 * time.Second
	pollEvery = 20 * time.Millisecond
)

// The app's options in the Caddys called fast and slow.
const (
	fastOptions = `
		standard_webhooks
		retry {
			attempts 3
			delay 100ms
			jitter 0s 50ms
		}
		max_event_size 16KiB
		max_response_size 1KiB
		audit
		destinations {
			allow_http
			allow 127.0.0.0/8
		}`
	slowOptions = `
		signature_header X-Other-Signature
		event_types *
		retry {
			attempts 2
			delay 1h
			jitter 1s 60s
		}
		destinations {
			allow_http
			allow 127.0.0.0/8
			deny 127.0.0.9/32
		}`
)

// site is where each Caddy mounts the handler.
const site = `
	handle_path /hooks/* {
		webhooks {
			emit_token {env.EMIT_TOKEN}
			emit_token {env.OLD_TOKEN}
			admin_token {env.ADMIN_TOKEN}
		}
	}
	handle_path /tenants/* {
		webhooks {
			emit_token {env.EMIT_TOKEN}
			admin_token {env.ADMIN_TOKEN}
			tenant {header.X-Tenant}
		}
	}
	handle_path /nobody/* {
		webhooks
	}
	handle_path /user/* {
		webhooks {
			admin_user {header.X-User}
		}
	}
	handle_path /open/* {
		webhooks {
			insecure_no_auth
		}
	}
	respond /beside "beside"
`

var (
	caddyBinary string
	fast        *server // retries at once
	slow        *server // retries in an hour, so that failed deliveries stay pending
	strict      *server // has the default options
	storeless   *server // has a store that cannot be reached
)

// server is a running Caddy.
type server struct {
	url     string
	process *process.Process
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// run runs the tests with each store.
func run(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "contracttest")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)

	caddyBinary = filepath.Join(dir, "caddy")
	build := exec.Command("go", "build", "-o", caddyBinary, "../cmd/caddy")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build Caddy: %w\n%s", err, out)
	}
	redisDir := filepath.Join(dir, "redis")
	if err := os.Mkdir(redisDir, 0o700); err != nil {
		return 1, err
	}
	redis, err := redistest.StartServer(redisDir)
	if err != nil {
		return 1, err
	}
	defer redis.Kill()
	embedded, err := embeddedStore(dir)
	if err != nil {
		return 1, err
	}
	for _, store := range []store{redisStore(redis), embedded} {
		inUse = store
		if code, err := runWith(m, filepath.Join(dir, uuid.NewString())); code != 0 || err != nil {
			return code, err
		}
	}
	return 0, nil
}

// runWith runs the tests with the store in use.
func runWith(m *testing.M, dir string) (int, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 1, err
	}
	if inUse.skip != "" {
		if err := flag.Set("test.skip", inUse.skip); err != nil {
			return 1, err
		}
	}
	var running []*process.Process
	defer func() {
		for _, p := range running {
			_ = p.Stop() // an error says that it had to be killed
		}
	}()
	for _, s := range []struct {
		server  **server
		name    string
		options string
	}{
		{&fast, "fast", inUse.options("fast") + fastOptions},
		{&slow, "slow", inUse.options("slow") + slowOptions},
		{&strict, strictName, inUse.options(strictName)},
		{&storeless, "storeless", inUse.away + fastOptions},
	} {
		own := filepath.Join(dir, s.name)
		if err := os.Mkdir(own, 0o700); err != nil {
			return 1, err
		}
		started, err := startCaddy(own, s.options)
		if err != nil {
			return 1, fmt.Errorf("%s: %w", s.name, err)
		}
		running = append(running, started.process)
		*s.server = started
	}
	return m.Run(), nil
}

// startCaddy starts a Caddy with options of the app, and with mounts beside those of
// site. It waits until the site is served. Caddy writes into dir only.
func startCaddy(dir, options string, mounts ...string) (*server, error) {
	addr, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("{\n\tadmin off\n\tpersist_config off\n\twebhooks {\n\t\t%s\n\t}\n}\n\nhttp://%s, http://*.hooks.test:%s {%s%s}\n",
		options, addr, port, site, strings.Join(mounts, ""))
	p, err := process.StartCaddy(caddyBinary, dir, []byte(text), environment...)
	if err != nil {
		return nil, err
	}
	s := &server{url: "http://" + addr, process: p}
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(pollEvery) {
		select {
		case <-p.Done:
			return nil, fmt.Errorf("Caddy ended: %w\n%s", p.Err, p.Tail())
		default:
		}
		resp, err := http.Get(s.url + "/beside")
		if err != nil {
			continue
		}
		resp.Body.Close()
		return s, nil
	}
	p.Kill()
	return nil, fmt.Errorf("Caddy does not serve its site\n%s", p.Tail())
}

// start starts a Caddy that ends with the test at the latest. It returns when Caddy has
// opened its store.
func start(t testing.TB, options string, mounts ...string) *server {
	t.Helper()
	return startIn(t, t.TempDir(), options, mounts...)
}

// startIn is start with a folder for everything that Caddy writes.
func startIn(t testing.TB, dir, options string, mounts ...string) *server {
	t.Helper()
	s, err := startCaddy(dir, options, mounts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.process.Kill)
	eventually(t, "Caddy to open its store", func() bool {
		return s.mount("hooks").call(t, "GET", "/api/health", "").status == 200
	})
	return s
}

// environment has the variables that placeholders in the Caddyfiles name.
var environment = []string{"EMIT_TOKEN=" + emitToken, "OLD_TOKEN=" + oldToken, "ADMIN_TOKEN=" + adminToken, "EMPTY=", "ACME_TOKEN=" + acmeToken, "VIEWER_TOKEN=" + viewerToken}
