package sender

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// asNetHTTPWrites is the request that net/http makes of a message.
func asNetHTTPWrites(t *testing.T, m Message) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, m.URL, bytes.NewReader(m.Body))
	if err != nil {
		t.Fatal(err)
	}
	r.Host, r.URL.Host = hostOf(t, m.URL), hostOf(t, m.URL) // NewRequest would take an empty port off
	r.Header = m.header()
	return r
}

func hostOf(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// What goes over the wire is, byte for byte, what net/http would send, which
// endpoints have learned to take.
func TestBytesOnTheWire(t *testing.T) {
	captured := make(chan string, 1)
	address := serve(t, func(conn net.Conn) {
		var raw bytes.Buffer
		if r, err := http.ReadRequest(bufio.NewReaderSize(io.TeeReader(conn, &raw), 1)); err == nil {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		captured <- raw.String()
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
	})
	_, port, _ := net.SplitHostPort(address)
	dnsZone(t, map[string][]string{
		"hooks.example": {"127.0.0.1"}, "xn--bcher-kva.example": {"127.0.0.1"}, "under_score.example": {"127.0.0.1"},
	})
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	for target, spelled := range map[string]string{
		"127.0.0.1:PORT": "", "127.0.0.1:PORT/": "", "127.0.0.1:PORT/hooks": "", "127.0.0.1:PORT/a/../b//c/": "", "127.0.0.1:PORT?": "", "127.0.0.1:PORT?a=b&c": "",
		"127.0.0.1:PORT/?q=a+b%20c&d=%2F;e": "", "127.0.0.1:PORT/*'()!$&,;=:@[]": "", "127.0.0.1:PORT/a|b^c{d}": "", "127.0.0.1:PORT/a%2Bb%3Bc%40/%c3%bc": "",
		"[::ffff:127.0.0.1]:PORT/": "", "hooks.example:PORT/": "", "hooks.example.:PORT/": "", "under_score.example:PORT/": "",
		// Of these, net/http itself would spell more than is needed, or less.
		"127.0.0.1:PORT/%2Fa%20b/ü/%C3%BC": "127.0.0.1:PORT/%2Fa%20b/%C3%BC/%C3%BC", "127.0.0.1:PORT/a%2Bb%3Bc%40/{x}": "127.0.0.1:PORT/a%2Bb%3Bc%40/%7Bx%7D",
		"127.0.0.1:PORT/?ü=%fc": "127.0.0.1:PORT/?%C3%BC=%fc", "127.0.0.1:PORT/?{x}": "127.0.0.1:PORT/?%7Bx%7D",
		"HOOKS.Example:PORT/": "hooks.example:PORT/", "bücher.example:PORT/": "xn--bcher-kva.example:PORT/", "BÜCHER.example:PORT/": "xn--bcher-kva.example:PORT/",
	} {
		t.Run(target, func(t *testing.T) {
			target, spelled := strings.Replace(target, "PORT", port, 1), strings.Replace(cmp.Or(spelled, target), "PORT", port, 1)
			common := http.Header{
				"User-Agent": {"Caddy-Webhooks"}, "Content-Type": {"application/json"}, "Webhook-Id": {"instead of this one"},
				"A": {" 1\t", "2", ""}, "x-lower": {"3"}, "Content-Length": {"9"}, "Host": {"other"},
			}
			names := []string{"X-Level-Signature", "Webhook-Id", "Aa"}
			m := message("")
			m.Target, m.Values = NewTarget("http://"+spelled, common, names...), []string{" sha256=00\t", "1", ""}
			m.Body = bytes.Repeat([]byte("body "), 100)
			resp, err := transport.RoundTrip(asNetHTTPWrites(t, m))
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			want := <-captured
			m.Target = NewTarget("http://"+target, common, names...)
			newSender(t).Send(t.Context(), m).want(t, Response{StatusCode: 204})
			if got := <-captured; got != want || !strings.HasSuffix(got, string(m.Body)) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

// The same for hosts that no test can serve.
func TestRequestHeads(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"hooks.example", "hooks.example:", "hooks.example:80", "hooks.example:443", "[::1]", "[::1]:8443", "[fe80::1%25eth0]", "[fe80::1%25eth0]:8443",
	} {
		m := message("")
		m.Target = NewTarget("https://"+host+"/hooks?a=b", http.Header{"User-Agent": {"Caddy-Webhooks"}})
		var want bytes.Buffer
		if err := asNetHTTPWrites(t, m).Write(&want); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		var got []byte
		if err := appendRequestHeader(&got, &request{Message: m}); err != nil || string(got)+string(m.Body) != want.String() {
			t.Errorf("got  %q, %v\nwant %q", got, err, want.String())
		}
	}
}

// Where to connect to, by what a URL says.
func TestDialledAddress(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"http://hooks.example": "hooks.example:80", "https://hooks.example": "hooks.example:443", "https://hooks.example:": "hooks.example:443",
		"https://hooks.example:8443/": "hooks.example:8443", "https://Bücher.example": "xn--bcher-kva.example:443", "https://under_score.example": "under_score.example:443", "http://HOOKS.example": "hooks.example:80",
		"https://[::1]": "[::1]:443", "https://[fe80::1%25eth0]:8443": "[fe80::1%eth0]:8443", "http://127.0.0.1:8080": "127.0.0.1:8080",
	} {
		u, err := parseURL(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := net.JoinHostPort(hostPort(u)); got != want {
			t.Errorf("%s: got %s, not %s", raw, got, want)
		}
	}
}

// A value that would end its line is not sent, and nor is anything else.
func TestHeadersThatCannotBeSent(t *testing.T) {
	t.Parallel()
	received := make(chan []byte, 1)
	url := "http://" + serve(t, func(conn net.Conn) {
		all, _ := io.ReadAll(conn)
		received <- all
	})
	m := message("")
	for _, target := range []*Target{
		NewTarget(url, http.Header{"A": {"b\r\nC: d"}}), NewTarget(url, http.Header{"A": {"b\nC: d"}}), NewTarget(url, http.Header{"A": {"b", "\r"}}), NewTarget(url, http.Header{"A": {"\x00"}}),
		NewTarget(url, http.Header{"A: b\r\nC": {"d"}}), NewTarget(url, http.Header{"": {"b"}}), NewTarget(url, http.Header{"User-Agent": {"a\r\n"}}),
		NewTarget(url, nil, "A: b\r\nC"), NewTarget(url, nil, ""), NewTarget(url, nil, "A"),
	} {
		m.Target, m.Values = target, []string{"b\r\nC: d"}
		s := newSender(t)
		r := s.Send(context.Background(), m)
		if !strings.HasPrefix(r.Failure, "this request cannot be sent: ") || r.Cause == nil {
			t.Errorf("%q, %q: got %+v", target.common, target.names, r)
		}
		s.Close()
		if got := <-received; len(got) > 0 {
			t.Errorf("%q, %q was sent: %q", target.common, target.names, got)
		}
	}
}

// URLs that cannot be called end as failures, too.
func TestURLsThatCannotBeCalled(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "hooks.example", "https:hooks.example", "https://", "https:///path", "ftp://127.0.0.1/", "https://[::1", "https://hooks.example/\x00", ":", "//127.0.0.1/", "https://a\"b.example/", "https://℀.example/"} {
		if r := newSender(t).Send(t.Context(), message(url)); r.Failure != "the webhook's URL is not a valid http or https URL: change it" || r.StatusCode != 0 {
			t.Errorf("%q: got %+v", url, r)
		}
	}
}
