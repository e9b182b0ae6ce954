package sender

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

const notHTTPAnswer = "the endpoint's response is not valid HTTP"

const (
	statusOK  = "HTTP/1.1 200 OK\r\n"
	chunkedOK = statusOK + "Transfer-Encoding: chunked\r\n\r\n"
)

// What came before the connection was closed is kept.
func TestClosedConnections(t *testing.T) {
	const (
		closedBefore = "the connection was closed before a response came"
		closedWithin = "the connection was closed before the response was complete"
	)
	for _, tc := range []struct {
		name   string
		answer string
		want   Response
	}{
		{"nothing", "", Response{Failure: closedBefore}},
		{"half a status line", "HTTP/1.1 20", Response{Failure: notHTTPAnswer}},
		{"half the headers", statusOK + "Content-Type: te", Response{StatusCode: 200, Failure: closedWithin}},
		{"half the headers of a failure", "HTTP/1.1 500 No\r\nContent-Type: te", Response{StatusCode: 500, Failure: closedWithin}},
		{"only informational answers", "HTTP/1.1 100 Continue\r\n\r\n", Response{Failure: closedBefore}},
		{"half the headers after an informational answer", "HTTP/1.1 100 Continue\r\n\r\n" + statusOK, Response{StatusCode: 200, Failure: closedWithin}},
		{"half the headers of an informational answer", "HTTP/1.1 103 Early Hints\r\nLink: ", Response{Failure: closedBefore}},
		{"no body", statusOK + "Content-Length: 5\r\n\r\n", Response{StatusCode: 200, Failure: closedWithin}},
		{"half a body", statusOK + "Content-Length: 5\r\n\r\nab", Response{StatusCode: 200, Body: "ab", Failure: closedWithin}},
		{"half a character", statusOK + "Content-Length: 5\r\n\r\na\xc3", Response{StatusCode: 200, Body: "a\uFFFD", Failure: closedWithin}},
		{"half a chunk", chunkedOK + "5\r\nab", Response{StatusCode: 200, Body: "ab", Failure: closedWithin}},
		{"no last chunk", chunkedOK + "2\r\nab\r\n", Response{StatusCode: 200, Body: "ab", Failure: closedWithin}},
		{"half the body of a failure", "HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\nab", Response{StatusCode: 500, Body: "ab", Failure: closedWithin}},
		{
			"half of what is too long", statusOK + "Content-Length: 9000\r\n\r\n" + strings.Repeat("a", 5000),
			Response{StatusCode: 200, Body: strings.Repeat("a", 1024), Truncated: true, Failure: closedWithin},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			url := "http://" + serve(t, answering(tc.answer))
			newSender(t).Send(t.Context(), message(url)).want(t, tc.want)
		})
	}
}

// Answers that break the protocol end the request at once.
func TestBrokenAnswers(t *testing.T) {
	const headers = "the response headers are longer than 64 KiB"
	for _, tc := range []struct {
		name   string
		answer string
		want   Response
	}{
		{"another protocol", "SSH-2.0-OpenSSH_9.6\r\n", Response{Failure: notHTTPAnswer}},
		{"HTTP/0.9", "<html></html>\r\n", Response{Failure: notHTTPAnswer}},
		{"a status that is no number", "HTTP/1.1 abc OK\r\n\r\n", Response{Failure: notHTTPAnswer}},
		{"a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", Response{Failure: notHTTPAnswer}},
		{"a status of zero", "HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\nok", Response{Failure: notHTTPAnswer}},
		{"a status below 100", "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok", Response{Failure: notHTTPAnswer}},
		{"a negative status", "HTTP/1.1 -20 OK\r\nContent-Length: 2\r\n\r\nok", Response{Failure: notHTTPAnswer}},
		{"an unknown version", "HTTP/x 200 OK\r\n\r\n", Response{Failure: notHTTPAnswer}},
		{"a header without a colon", statusOK + "nonsense\r\n\r\n", Response{StatusCode: 200, Failure: notHTTPAnswer}},
		{"a header without a name", statusOK + ": c\r\n\r\n", Response{StatusCode: 200, Failure: notHTTPAnswer}},
		{"a length that is no number", statusOK + "Content-Length: x\r\n\r\n", Response{StatusCode: 200, Failure: notHTTPAnswer}},
		{"a negative length", statusOK + "Content-Length: -1\r\n\r\n", Response{StatusCode: 200, Failure: notHTTPAnswer}},
		{"two lengths of a failure", "HTTP/1.1 502 No\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", Response{StatusCode: 502, Failure: notHTTPAnswer}},
		{"a switch of protocols with a broken header", "HTTP/1.1 101 No\r\n: c\r\n\r\n", Response{StatusCode: 101, Failure: notHTTPAnswer}},
		{"a broken header after an informational answer", "HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 503\nnonsense\r\n\r\n", Response{StatusCode: 503, Failure: notHTTPAnswer}},
		{"a broken header of an informational answer", "HTTP/1.1 103 Hints\r\nnonsense\r\n\r\n", Response{Failure: notHTTPAnswer}},
		{"two lengths", statusOK + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", Response{StatusCode: 200, Failure: notHTTPAnswer}},
		{"an unknown encoding", statusOK + "Transfer-Encoding: magic\r\n\r\n", Response{StatusCode: 200, Failure: notHTTPAnswer}},
		{"two encodings", statusOK + "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n", Response{StatusCode: 200, Failure: notHTTPAnswer}},
		{"a chunk of no length", chunkedOK + "x\r\n", Response{StatusCode: 200, Failure: notHTTPAnswer}},
		{"an empty chunk length", chunkedOK + "\r\n", Response{StatusCode: 200, Failure: notHTTPAnswer}},
		{"a huge chunk length", chunkedOK + "fffffffffffffffff\r\n", Response{StatusCode: 200, Failure: notHTTPAnswer}},
		{"a chunk that is longer than it says", chunkedOK + "2\r\nabcd\r\n", Response{StatusCode: 200, Body: "ab", Failure: notHTTPAnswer}},
		{"an endless chunk line", chunkedOK + "2;" + strings.Repeat("x", 10_000) + "\r\n", Response{StatusCode: 200, Failure: notHTTPAnswer}},
		{"a long trailer", chunkedOK + "0\r\n" + strings.Repeat("A: b\r\n", 1000) + "\r\n", Response{StatusCode: 200, Failure: notHTTPAnswer}},
		{"a broken trailer", chunkedOK + "0\r\nnonsense\r\n\r\n", Response{StatusCode: 200, Failure: notHTTPAnswer}},
		{"TLS", "\x15\x03\x01\x00\x02\x02\x0a", Response{Failure: "the endpoint speaks TLS: the webhook's URL should begin with https://"}},

		{"a long header", statusOK + "A: " + strings.Repeat("a", maxResponseHeader) + "\r\n\r\n", Response{StatusCode: 200, Failure: headers}},
		{"many headers", statusOK + strings.Repeat("A: b\r\n", maxResponseHeader/6) + "\r\n", Response{StatusCode: 200, Failure: headers}},
		{"very many informational answers", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 5000), Response{Failure: headers}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			url := "http://" + serve(t, holding(tc.answer))
			newSender(t).Send(t.Context(), message(url)).want(t, tc.want)
		})
	}
}

// The timeout ends answers that have no end.
func TestEndlessAnswers(t *testing.T) {
	ca := newAuthority(t)
	overTLS := func(handle func(net.Conn)) func(net.Conn) { return secured(ca, func(conn *tls.Conn) { handle(conn) }) }
	for _, tc := range []struct {
		name   string
		handle func(net.Conn)
		status int
		body   string // what the kept body begins with
	}{
		{"silence over TLS", overTLS(holding("")), 0, ""},
		{"dripping headers over TLS", overTLS(dripping(statusOK, "a")), 200, ""},
		{"a dripping body over TLS", overTLS(dripping(statusOK+"\r\n", "a")), 200, "a"},
		{"silence", holding(""), 0, ""},
		{"half a status line", holding("HTTP/1.1 2"), 0, ""},
		{"half the headers", holding(statusOK + "A: b\r\n"), 200, ""},
		{"informational answers, then silence", holding("HTTP/1.1 102 Processing\r\n\r\n"), 0, ""},
		{"dripping headers", dripping(statusOK, "a"), 200, ""},
		{"dripping headers of a failure", dripping("HTTP/1.1 500 No\r\n", "a"), 500, ""},
		{"half a body", holding(statusOK + "Content-Length: 9\r\n\r\nhalf"), 200, "half"},
		{"half a body of a failure", holding("HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\nhalf"), 503, "half"},
		{"a body without end", holding(statusOK + "\r\nhalf"), 200, "half"},
		{"a dripping body", dripping(statusOK+"\r\n", "a"), 200, "a"},
		{"dripping chunks", dripping(statusOK+"Transfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n"), 200, "a"},
		{"half a trailer", holding(chunkedOK + "2\r\nok\r\n0\r\nA: "), 200, "ok"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			scheme := "http://"
			if strings.HasSuffix(tc.name, " over TLS") {
				scheme = "https://"
			}
			m := message(scheme + serve(t, tc.handle))
			r, timeout := sendUntil(t, newSender(t, trusting(ca)), m, func(r Response) bool {
				return incomplete(r) && r.StatusCode == tc.status && strings.HasPrefix(r.Body, tc.body)
			})
			if !strings.HasPrefix(r.Body, tc.body) || len(r.Body) > m.MaxResponse {
				t.Errorf("kept %q", r.Body)
			}
			want := Response{StatusCode: tc.status, TimedOut: true, Body: r.Body, Truncated: r.Truncated, Failure: tooLate(timeout)}
			if tc.status != 0 {
				want.Failure = fmt.Sprintf("no complete response within %s", timeout)
			}
			r.want(t, want)
		})
	}
}

// The timeout also ends a request that the endpoint does not read.
func TestRequestThatIsNotRead(t *testing.T) {
	m := message("http://" + serve(t, func(conn net.Conn) {
		<-t.Context().Done()
		_ = conn.Close()
	}))
	m.Body = make([]byte, 16<<20)
	r, timeout := sendUntil(t, newSender(t), m, incomplete)
	r.want(t, Response{TimedOut: true, Failure: tooLate(timeout)})
}

// An endpoint may answer before it has read the request.
func TestAnswerBeforeTheRequestIsRead(t *testing.T) {
	m := message("http://" + serve(t, func(conn net.Conn) {
		in := bufio.NewReader(conn)
		if _, err := http.ReadRequest(in); err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nlong")
		_, _ = io.Copy(io.Discard, in)
	}))
	m.Body = make([]byte, 4<<20)
	newSender(t).Send(t.Context(), m).want(t, Response{StatusCode: 413, Body: "long"})
}

// The failure tells a host that drops packets, as firewalls do, from one that is slow.
func TestUnansweredConnection(t *testing.T) {
	// The listener never accepts, and has room for one connection, which is taken.
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(socket) }()
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(socket, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	bound, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		t.Fatalf("bound to %T", name)
	}
	address := (&net.TCPAddr{IP: bound.Addr[:], Port: bound.Port}).String()
	m := message("http://" + address)
	m.Timeout = 150 * time.Millisecond
	s := newSender(t)
	// The kernel decides how many connections the backlog holds.
	for range 100 {
		r := s.Send(t.Context(), m)
		if r.Failure != tooLate(m.Timeout) {
			r.want(t, Response{TimedOut: true, Failure: "no connection to " + address + " within 150ms: the endpoint is down, or a firewall is in the way"})
			return
		}
		var dialer net.Dialer
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		conn, err := dialer.DialContext(ctx, "tcp", address)
		cancel()
		if err == nil {
			t.Cleanup(func() { _ = conn.Close() })
		}
	}
	t.Error("every connection was made")
}

const nobodyListens = ": nothing listens there, or a firewall is in the way"

func TestRefusedConnection(t *testing.T) {
	address := refusing(t)
	newSender(t).Send(t.Context(), message("http://"+address)).want(t, Response{Failure: "connection refused by " + address + nobodyListens})
	ca := newAuthority(t)
	newSender(t, trusting(ca)).Send(t.Context(), message("https://"+address)).want(t, Response{Failure: "connection refused by " + address + nobodyListens})
}

const checkHost = ": check the host in the webhook's URL, or DNS"

func TestNamesThatLeadNowhere(t *testing.T) {
	dnsZone(t, map[string][]string{"empty.example": {}, "failing.example": {""}})
	for _, tc := range []struct{ host, want string }{
		{"hooks.invalid", "the name hooks.invalid has no address" + checkHost},
		{"hooks.invalid:8443", "the name hooks.invalid has no address" + checkHost},
		{"empty.example", "the name empty.example has no address" + checkHost},
		{"bücher.invalid", "the name xn--bcher-kva.invalid has no address" + checkHost},
		{"failing.example", "the name failing.example could not be looked up: the DNS server failed"},
	} {
		t.Run(tc.host, func(t *testing.T) {
			newSender(t).Send(t.Context(), message("https://"+tc.host+"/")).want(t, Response{Failure: tc.want})
		})
	}
	t.Run("no DNS server", func(t *testing.T) {
		resolveAt(t, refusing(t))
		newSender(t).Send(t.Context(), message("https://hooks.example/")).
			want(t, Response{Failure: "the name hooks.example could not be looked up: no DNS server answered"})
	})
}

// The failure tells a DNS server that never answers from an endpoint that does not.
func TestSilentDNS(t *testing.T) {
	var config net.ListenConfig
	silent, err := config.ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	resolveAt(t, silent.LocalAddr().String())
	m := message("https://hooks.example/")
	m.Timeout = 50 * time.Millisecond
	for _, proxied := range []bool{false, true} {
		s := newSender(t, func(c *Config) {
			if proxied {
				c.Destinations.Proxy = newConnectProxy(t, http.StatusOK, nil).url
			}
		})
		s.Send(t.Context(), m).want(t, Response{
			TimedOut: true, Failure: "the name hooks.example could not be looked up within 50ms: no DNS server answered",
		})
	}
}

// A name has less time than the request.
func TestSlowDNS(t *testing.T) {
	var config net.ListenConfig
	silent, err := config.ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	resolveAt(t, silent.LocalAddr().String())
	for _, proxied := range []bool{false, true} {
		s := newSender(t, func(c *Config) {
			if proxied {
				c.Destinations.Proxy = newConnectProxy(t, http.StatusOK, nil).url
			}
		})
		s.dnsTimeout = 50 * time.Millisecond
		m := message("https://hooks.example/")
		m.Timeout = time.Hour
		s.Send(t.Context(), m).want(t, Response{
			TimedOut: true, Failure: "the name hooks.example could not be looked up within 50ms: no DNS server answered",
		})
	}
}

func TestPlainHTTPMustBeAllowed(t *testing.T) {
	s := newSender(t, func(c *Config) { c.Destinations.AllowHTTP = false })
	r := s.Send(t.Context(), message("http://"+refusing(t)))
	if r.Failure != "the configuration no longer allows http URLs: change the webhook's URL to https" || r.StatusCode != 0 {
		t.Errorf("got %+v", r)
	}
}

func TestStatusFailure(t *testing.T) {
	for code, want := range map[int]string{
		101: "the endpoint answered 101 Switching Protocols",
		301: "the endpoint answered 301 Moved Permanently; redirects are not followed",
		304: "the endpoint answered 304 Not Modified; redirects are not followed",
		399: "the endpoint answered 399; redirects are not followed",
		404: "the endpoint answered 404 Not Found",
		500: "the endpoint answered 500 Internal Server Error",
		599: "the endpoint answered 599",
		999: "the endpoint answered 999",
	} {
		if got := StatusFailure(code); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
