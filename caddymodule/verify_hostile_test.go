package caddymodule_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// exchange sends bytes, and returns the status of what is answered.
func (g *guarded) exchange(request string) string {
	g.t.Helper()
	conn := g.dial(request)
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		g.t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		g.t.Fatalf("%v after %q", err, line)
	}
	_, status, _ := strings.Cut(line, " ")
	return status[:3]
}

// TestVerifyHostileHeaders sends headers that no sender makes, and a right one among them.
func TestVerifyHostileHeaders(t *testing.T) {
	options := " {\n\t\tsecret " + verifySecret + "\n\t}"
	g := startGuarded(t, siteConfig{webhooks: "store embedded " + t.TempDir()}, map[string]string{
		"/standard": "standard" + options, "/slack": "slack" + options,
	})
	post := func(path string, headers ...string) string {
		return "POST " + path + " HTTP/1.1\r\nHost: " + g.addr + "\r\nContent-Length: 2\r\nConnection: close\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n{}"
	}
	now := time.Now()
	signed := func(id string, at any) []string {
		text := fmt.Sprint(at)
		sum := macOf(verifySecret, id+"."+text+".{}")
		return []string{"webhook-id: " + id, "webhook-timestamp: " + text, "webhook-signature: v1," + base64.StdEncoding.EncodeToString(sum)}
	}
	slack := func(at string) []string {
		return []string{"X-Slack-Request-Timestamp: " + at, "X-Slack-Signature: v0=" + macHex(verifySecret, "v0:"+at+":{}")}
	}
	for _, c := range []struct{ what, request, want string }{
		{"a time with a sign", post("/slack", slack(fmt.Sprint("+", now.Unix()))...), "401"},
		{"a time before 1970", post("/slack", slack("-1")...), "401"},
		{"a time with an exponent", post("/slack", slack("17e8")...), "401"},
		{"a time in hex", post("/slack", slack(fmt.Sprintf("0x%x", now.Unix()))...), "401"},
		{"a time in milliseconds", post("/slack", slack(fmt.Sprint(now.UnixMilli()))...), "401"},
		{"a time beyond 64 bits", post("/slack", slack("18446744073709551617")...), "401"},
		{"a time in other digits", post("/slack", slack("١٧٠٠٠٠٠٠٠٠")...), "401"},
		{"a time far ahead", post("/slack", slack("999999999999")...), "401"},
		{"two times", post("/slack", slack(fmt.Sprint(now.Unix(), " ", now.Unix()))...), "401"},
		{"a header twice", post("/standard", append(signed("twice", now.Unix()), "webhook-id: twice")...), "401"},
		{"a header twice, in capitals", post("/standard", append(signed("twice", now.Unix()), "WEBHOOK-ID: other")...), "401"},
		{"an id with a full stop", post("/standard", signed(fmt.Sprint("a.", now.Unix()), now.Unix())...), "401"},
		{"an empty id", post("/standard", signed("", now.Unix())...), "401"},
		{"an id with a byte 0", post("/standard", signed("a\x00b", now.Unix())...), "400"},
		{"a header of 2 MiB", post("/standard", signed(strings.Repeat("x", 2<<20), now.Unix())...), "431"},
		{"1,000 headers", post("/standard", append(signed("many", now.Unix()), strings.Repeat("X-More: 1\r\n", 999)+"X-More: 1")...), "204"},
		{"spaces around", post("/standard", strings.Split(strings.Join(signed("spaces", now.Unix()), "  \r\n"), "\r\n")...), "204"},
		{"an id of 10 kB", post("/standard", signed(strings.Repeat("x", 10_000), now.Unix())...), "204"},
		{"the same again", post("/standard", signed(strings.Repeat("x", 10_000), now.Unix())...), "401"},
	} {
		if got := g.exchange(c.request); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
		if c.want != "204" {
			g.wantTaken(c.what, 0)
		}
		g.taken()
	}
	right := signed("variants", now.Unix())
	for _, other := range []string{
		strings.TrimRight(right[2], "="), strings.Replace(right[2], "v1,", "V1,", 1), strings.Replace(right[2], "v1,", "v1=", 1),
		strings.Replace(right[2], "v1,", "v1, ", 1), strings.Replace(right[2], "=", "%3D", 1), right[2] + "=", right[2] + ",v1",
	} {
		if got := g.exchange(post("/standard", right[0], right[1], other)); got != "401" {
			t.Errorf("%s: %s", other, got)
		}
	}
}

func macOf(secret, text string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// TestVerifyMethods guards requests of every method, and passes on what is signed as it is, a body in
// gzip included: that is what its sender has signed.
func TestVerifyMethods(t *testing.T) {
	g := startGuarded(t, siteConfig{webhooks: "store embedded " + t.TempDir()}, map[string]string{"/in": "github {\n\t\tsecret " + verifySecret + "\n\t}"})
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodPatch, http.MethodDelete, "NONSENSE"} {
		if got := g.do(method, "/in", "", "Origin", "https://example.org", "Access-Control-Request-Method", "POST"); got.status != http.StatusUnauthorized {
			t.Errorf("%s: %d", method, got.status)
		}
		g.wantTaken("unsigned", 0)
		g.do(method, "/in", "", github(verifySecret, method, "")...).want(t, http.StatusNoContent, nil)
		if got := g.do(method, "/in", "", github(verifySecret, method, "")...); got.status != http.StatusUnauthorized {
			t.Errorf("%s again: %d", method, got.status)
		}
		g.wantTaken(method, 1)
	}
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write([]byte("{}")); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	g.do(http.MethodPost, "/in", zipped.String(), append(github(verifySecret, "plain", "{}"), "Content-Encoding", "gzip")...).wantUnverified(t, "signed before it was zipped")
	g.do(http.MethodPost, "/in", zipped.String(), append(github(verifySecret, "zipped", zipped.String()), "Content-Encoding", "gzip")...).want(t, http.StatusNoContent, nil)
	for _, r := range g.wantTaken("zipped", 1) {
		if body, _ := io.ReadAll(r.Body); !bytes.Equal(body, zipped.Bytes()) || r.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("the upstream got %q in %q", body, r.Header.Get("Content-Encoding"))
		}
	}
}

// TestVerifySenders has two senders, and two schemes of one, with the same ids and bodies: each
// message is one of its own.
func TestVerifySenders(t *testing.T) {
	guards := map[string]string{"/level": "level {\n\t\tsecret first\n\t}"}
	for _, sender := range []string{"first", "second"} {
		guards["/"+sender] = "github {\n\t\tsecret " + sender + "\n\t}"
		guards["/"+sender+"/standard"] = "standard {\n\t\tsecret " + sender + "\n\t}"
	}
	g := startGuarded(t, siteConfig{webhooks: "store embedded " + t.TempDir()}, guards)
	const id = "the-same"
	at := time.Now()
	for _, want := range []int{http.StatusNoContent, http.StatusUnauthorized} {
		for _, sender := range []string{"first", "second"} {
			g.do(http.MethodPost, "/"+sender, "{}", github(sender, id, "{}")...).want(t, want, nil)
			g.do(http.MethodPost, "/"+sender+"/standard", "{}", standard(sender, id, at, "{}")...).want(t, want, nil)
		}
		g.do(http.MethodPost, "/level", "{}", "X-Level-Signature", delivery.Signature("first", []byte("{}"))).want(t, want, nil)
	}
	for _, hook := range []string{"1", "2"} { // two webhooks of one repository, with one secret
		g.do(http.MethodPost, "/first", "{}", append(github("first", id, "{}"), "X-GitHub-Hook-ID", hook)...).want(t, http.StatusNoContent, nil)
	}
}

// TestVerifyHandlers has handlers of Caddy's end in all ways: only what was answered with 2xx counts as
// received.
func TestVerifyHandlers(t *testing.T) {
	s := startSite(t, siteConfig{webhooks: "store embedded " + t.TempDir(), more: "route /in {\n\twebhook_verify github {\n\t\tsecret " + verifySecret + "\n\t}\n\tverify_ending\n}"})
	for ending, received := range map[string]bool{
		"nothing": true, "write": true, "copy": true, "write and panic": true, "copy and panic": true, "200 and panic": true, "103 and 204": true,
		"write and fail": true, "fail": false, "panic": false, "abort": false, "500": false, "500 and write": false, "404": false, "103 and panic": false,
	} {
		m := append(github(verifySecret, ending, "{}"), "Ending", ending)
		_, _ = try(http.MethodPost, "http://"+s.addr+"/in", "{}", m...) // some have no answer
		m[len(m)-1] = "nothing"
		if got := s.do(http.MethodPost, "/in", "{}", m...); got.status != http.StatusUnauthorized && received || got.status != http.StatusOK && !received {
			t.Errorf("after %s: %d", ending, got.status)
		}
	}
}

func init() {
	caddy.RegisterModule(verifyEnding{})
	httpcaddyfile.RegisterHandlerDirective("verify_ending", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return verifyEnding{}, nil
	})
}

// verifyEnding is a handler that ends as the header Ending says.
type verifyEnding struct{}

func (verifyEnding) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.verify_ending", New: func() caddy.Module { return new(verifyEnding) }}
}

func (verifyEnding) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	for step := range strings.SplitSeq(r.Header.Get("Ending"), " and ") {
		switch step {
		case "write":
			if _, err := io.WriteString(w, "some"); err != nil {
				return err
			}
		case "copy":
			if _, err := io.Copy(w, io.LimitReader(strings.NewReader("some more"), 4)); err != nil {
				return err
			}
		case "fail":
			return caddyhttp.Error(http.StatusBadGateway, errors.New("for the test"))
		case "panic":
			panic("for the test")
		case "abort":
			panic(http.ErrAbortHandler)
		case "nothing":
		default:
			var status int
			if _, err := fmt.Sscan(step, &status); err != nil {
				return err
			}
			w.WriteHeader(status)
		}
	}
	return nil
}

// TestVerifyUpgrade passes an upgrade on. That is no answer with 2xx, so it may be sent again.
func TestVerifyUpgrade(t *testing.T) {
	g := startGuarded(t, siteConfig{webhooks: "store embedded " + t.TempDir()}, map[string]string{"/in": "github {\n\t\tsecret " + verifySecret + "\n\t}"})
	g.answers(func(w http.ResponseWriter, _ *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(conn, buffered) // until the client ends it
	})
	upgrade := "GET /in HTTP/1.1\r\nHost: " + g.addr + "\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-GitHub-Delivery: up\r\nX-Hub-Signature-256: "
	if got := g.exchange(upgrade + delivery.Signature("other", nil) + "\r\n\r\n"); got != "401" {
		t.Errorf("signed by somebody else: %s", got)
	}
	for range 2 {
		eventually(t, "the upgrade", func() bool { // the one before may not have ended yet
			conn := g.dial(upgrade + delivery.Signature(verifySecret, nil) + "\r\n\r\n")
			defer conn.Close()
			in := bufio.NewReader(conn)
			answer, err := http.ReadResponse(in, nil)
			if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
				return false
			}
			defer answer.Body.Close()
			return echoes(conn, in)
		})
	}
}

func echoes(conn net.Conn, in *bufio.Reader) bool {
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		return false
	}
	line, err := in.ReadString('\n')
	return err == nil && line == "hello\n"
}

// TestVerifySenderGoneEarly has a sender that goes away while the store does not answer: nobody holds
// the message then, so it may be sent again at once.
func TestVerifySenderGoneEarly(t *testing.T) {
	redis := redistest.Start(t)
	g := startGuarded(t, siteConfig{webhooks: "store redis redis://" + redis.Addr}, map[string]string{"/in": "github {\n\t\tsecret " + verifySecret + "\n\t}"})
	g.ready()
	m := github(verifySecret, uuid.NewString(), "{}")
	if err := redis.Freeze(); err != nil {
		t.Fatal(err)
	}
	conn := g.dial("POST /in HTTP/1.1\r\nHost: " + g.addr + "\r\nContent-Length: 2\r\n" + m[0] + ": " + m[1] + "\r\n" + m[2] + ": " + m[3] + "\r\n\r\n{}")
	time.Sleep(300 * time.Millisecond) // so that the mark is on its way, as it usually is then
	if err := errors.Join(conn.Close(), redis.Thaw()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the message to be received", func() bool {
		return g.do(http.MethodPost, "/in", "{}", m...).status == http.StatusNoContent
	})
}
