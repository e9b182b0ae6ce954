package contracttest

import (
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
)

// destinations is the option with these lines.
func destinations(lines ...string) string {
	return "destinations {\n\t\t\t" + strings.Join(lines, "\n\t\t\t") + "\n\t\t}\n"
}

// certificateFile writes the certificate that all receivers have to a file for
// trusted_ca.
func certificateFile(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: receiveTLS(t, nil).Certificate().Raw}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// expected is what becomes of a webhook for one URL.
type expected struct {
	refused bool   // whether creating it is refused
	failure string // part of the error of a request to it, "" for success
}

type destinationTest struct {
	name                 string
	lines                []string
	address, host, https expected // http by address, http by name, https
}

// destinationTests are options, and what becomes of webhooks for endpoints at
// 127.0.0.1. The line trust has https endpoints trusted.
func destinationTests(trust string) []destinationTest {
	const (
		noHTTP    = "http URLs"
		notPublic = "not public"
		denied    = "denied"
		untrusted = "not trusted"
		some      = " " // which one depends on what other addresses localhost has here
	)
	ok := expected{}
	return []destinationTest{
		{"all allowed", []string{"allow_http", "allow 127.0.0.0/8 ::1/128", trust}, ok, ok, ok},
		{"no http", []string{"allow 127.0.0.0/8 ::1/128", trust}, expected{true, noHTTP}, expected{true, noHTTP}, ok},
		{"nothing allowed", []string{"allow_http", trust}, expected{true, notPublic}, expected{true, notPublic}, expected{true, notPublic}},
		{"others allowed", []string{"allow_http", "allow 10.0.0.0/8 fc00::/7", trust}, expected{true, notPublic}, expected{true, notPublic}, expected{true, notPublic}},
		{"one address allowed", []string{"allow_http", "allow 127.0.0.1", trust}, ok, ok, ok},
		{"several lines", []string{"allow_http", "allow 10.0.0.0/8", "allow 127.0.0.1/32", trust}, ok, ok, ok},
		{"denied", []string{"allow_http", "allow 0.0.0.0/0 ::/0", "deny 127.0.0.0/8 ::1", trust}, expected{true, denied}, expected{true, denied}, expected{true, denied}},
		{"others denied", []string{"allow_http", "allow 0.0.0.0/0 ::/0", "deny 127.0.0.9", trust}, ok, ok, ok},
		// Whatever else localhost is, it is 127.0.0.1, where the endpoint is.
		{"one of the name's denied", []string{"allow_http", "allow 127.0.0.0/8 ::1", "deny ::1", trust}, ok, ok, ok},
		{"the other of the name's denied", []string{"allow_http", "allow 127.0.0.0/8 ::1", "deny 127.0.0.0/8", trust}, expected{true, denied}, expected{false, some}, expected{true, denied}},
		{"a name allowed", []string{"allow_http", "allow_host LocalHost.", trust}, expected{true, notPublic}, ok, expected{true, notPublic}},
		{"names below allowed", []string{"allow_http", "allow_host *.localhost", trust}, expected{true, notPublic}, expected{true, notPublic}, expected{true, notPublic}},
		{"a name allowed, its addresses denied", []string{"allow_http", "allow_host localhost", "deny 127.0.0.0/8 ::1", trust}, expected{true, denied}, expected{true, denied}, expected{true, denied}},
		{"a name allowed and denied", []string{"allow_http", "allow_host localhost", "deny localhost", trust}, expected{true, notPublic}, expected{true, denied}, expected{true, notPublic}},
		{"a name denied, its addresses allowed", []string{"allow_http", "allow 127.0.0.0/8 ::1", "deny LOCALHOST", trust}, ok, expected{true, denied}, ok},
		{"no certificate trusted", []string{"allow_http", "allow 127.0.0.0/8 ::1"}, ok, ok, expected{false, untrusted}},
	}
}

// TestDestinations creates webhooks on a Caddy that allows every destination, and
// tries them on Caddys with other options and the same store: what these forbid,
// they neither create nor send to.
func TestDestinations(t *testing.T) {
	t.Parallel()
	trust := "trusted_ca " + certificateFile(t)
	store := ownStore()
	lenient := start(t, store+destinations("allow_http", "allow 127.0.0.0/8 ::1/128", trust))
	for _, test := range destinationTests(trust) {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, store+destinations(test.lines...))
			creator := lenient.admin()
			c := client{s.url + "/tenants", creator.header}
			plain, secure := receive(t, nil), receiveTLS(t, nil)
			test.address.check(t, creator, c, plain.URL+"/address", plain)
			test.host.check(t, creator, c, strings.Replace(plain.URL, "127.0.0.1", "localhost", 1)+"/host", plain)
			test.https.check(t, creator, c, secure.URL, secure)
			for _, got := range secure.received() {
				if got.protocol != "HTTP/2.0" {
					t.Errorf("sent over %s", got.protocol)
				}
			}
		})
	}
}

// TestPorts has webhooks from before other ports were closed.
func TestPorts(t *testing.T) {
	t.Parallel()
	store := ownStore()
	r := receive(t, nil)
	_, port, err := net.SplitHostPort(r.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	creator := start(t, store+destinations("allow_http", "allow 127.0.0.0/8")).admin()
	for ports, want := range map[string]expected{
		"ports " + port:               {},
		"ports 443 " + port:           {},
		"ports 1-65535":               {},
		"ports 443":                   {true, "port " + port + " is not allowed"},
		"ports 443\n\t\t\tports 1-79": {true, "port " + port + " is not allowed"},
	} {
		c := client{start(t, store+destinations("allow_http", "allow 127.0.0.0/8", ports)).url + "/tenants", creator.header}
		want.check(t, creator, c, r.URL+"/"+uuid.NewString(), r)
		changed, created := 422, 422 // with the port of http
		if ports == "ports 1-65535" {
			changed, created = 200, 201
		}
		one := "/api/webhooks/" + text(creator.webhook(t, r.URL)["id"])
		c.call(t, "PATCH", one, `{"url":"http://example.com/"}`).want(t, changed)
		c.call(t, "POST", "/api/webhooks", `{"url":"http://example.com/"}`).want(t, created)
	}
}

// check has c try to create a webhook for a URL of the receiver, and then send to
// one that the creator has created.
func (want expected) check(t *testing.T, creator, c client, url string, r *receiver) {
	t.Helper()
	created := 201
	if want.refused {
		created = 422
	}
	c.call(t, "POST", "/api/webhooks", `{"url":"`+url+`"}`).want(t, created)
	w := creator.webhook(t, url)
	before := len(r.received())
	q := c.must(t, 200, "POST", "/api/webhooks/"+text(w["id"])+"/test", "{}")
	sent := len(r.received()) - before
	if want.failure == "" && (q["status"] != "success" || sent != 1) {
		t.Errorf("%s: %d sent, %v", url, sent, q)
	}
	if want.failure != "" && (q["status"] != "failed" || q["status_code"] != nil || sent != 0 || !strings.Contains(text(q["error"]), want.failure)) {
		t.Errorf("%s: %d sent, %v", url, sent, q)
	}
}

// proxy is a proxy that keeps what it was asked for, and reaches one receiver only.
type proxy struct {
	*httptest.Server
	t  *testing.T
	to *receiver

	mu    sync.Mutex
	asked []string
}

func newProxy(t *testing.T, to *receiver) *proxy {
	p := &proxy{t: t, to: to}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.Method+" "+r.RequestURI+" "+r.Header.Get("Proxy-Authorization"))
	p.mu.Unlock()
	if r.Method != http.MethodConnect {
		to, err := url.Parse(p.to.URL)
		if err != nil {
			p.t.Error(err)
			return
		}
		httputil.NewSingleHostReverseProxy(to).ServeHTTP(w, r)
		return
	}
	var dialer net.Dialer
	onward, err := dialer.DialContext(r.Context(), "tcp", p.to.Listener.Addr().String())
	if err != nil {
		p.t.Error(err)
		return
	}
	defer onward.Close()
	conn, in, err := http.NewResponseController(w).Hijack()
	if err != nil {
		p.t.Error(err)
		return
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		p.t.Error(err)
		return
	}
	go func() {
		_, _ = io.Copy(onward, in) // ends when either connection does
		_ = onward.Close()
	}()
	_, _ = io.Copy(conn, onward)
}

func (p *proxy) wasAsked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// TestProxy has destinations at ::1, where nothing listens, and a proxy at an address
// that destinations may not have.
func TestProxy(t *testing.T) {
	t.Parallel()
	const credentials = "Basic dXNlcjpwYXNzd29yZA==" // user:password
	trust := "trusted_ca " + certificateFile(t)
	for _, test := range []struct {
		name, url, asked string
		to               *receiver
	}{
		{"http", "http://[::1]:9/path?q=1", "POST http://[::1]:9/path?q=1 " + credentials, receive(t, nil)},
		{"https", "https://[::1]:9/path?q=1", "CONNECT [::1]:9 " + credentials, receiveTLS(t, nil)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newProxy(t, test.to)
			store, tenant := ownStore(), uuid.NewString()
			by := "proxy " + strings.Replace(p.URL, "http://", "http://user:password@", 1)
			on := func(lines ...string) client {
				return start(t, store+destinations(append(lines, "allow_http", by, trust)...)).
					mount("tenants", "Authorization", "Bearer "+adminToken, "X-Tenant", tenant)
			}
			c := on("allow ::1", "deny 127.0.0.0/8")
			one := "/api/webhooks/" + text(c.webhook(t, test.url, `"secret":"s"`)["id"])
			if q := c.must(t, 200, "POST", one+"/test", "{}"); q["status"] != "success" || q["url"] != test.url {
				t.Errorf("through the proxy: %v", q)
			}
			got := test.to.await(t, 1)[0]
			if got.method != "POST" || got.uri != "/path?q=1" || got.header.Get("X-Level-Signature") == "" || got.header.Get("Proxy-Authorization") != "" {
				t.Errorf("the endpoint received %v", got)
			}
			if asked := p.wasAsked(); !slices.Equal(asked, []string{test.asked}) {
				t.Errorf("the proxy was asked %q", asked)
			}

			// The destination itself must be allowed all the same.
			for lines, failure := range map[string]string{"deny 127.0.0.0/8": "not public", "deny ::1": "denied"} {
				c := on(lines, "allow 127.0.0.0/8")
				c.call(t, "POST", "/api/webhooks", `{"url":"`+test.url+`"}`).want(t, 422)
				q := c.must(t, 200, "POST", one+"/test", "{}")
				if q["status"] != "failed" || !strings.Contains(text(q["error"]), failure) {
					t.Errorf("%s: %v", lines, q)
				}
			}
			if asked := p.wasAsked(); len(asked) != 1 {
				t.Errorf("the proxy was asked for what is not allowed: %q", asked)
			}
		})
	}
}
