package sender

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// headers are responses, each with whether it is plain.
var headers = []struct {
	plain    bool
	response string
}{
	{true, answerOK},
	{true, answerClose},
	{true, "HTTP/1.1 204 No Content\r\n\r\n"},
	{true, "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nbeyond"},
	{true, "HTTP/1.1 304 Not Modified\r\n\r\nbeyond"},
	{true, "HTTP/1.1 200\r\ncontent-length:2\r\n\r\nok"},
	{true, "HTTP/1.1 200 \xe9t\xe9\r\nCONTENT-LENGTH: \t002 \r\nA:\r\nB: \xff\r\n\r\nok"},
	{true, "HTTP/1.1  200  OK\r\nContent-Length: 2\r\n\r\no"},
	{true, "HTTP/1.1 999 Odd\r\nConnection: Keep-Alive\r\nKeep-Alive: timeout=5, max=100\r\nKeep-Alive: timeout=3\r\nContent-Length: 0\r\n\r\n"},
	{true, "HTTP/1.1 500 No\r\nConnection: close\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nno, and more"},
	{true, "HTTP/1.1 503 No\r\nretry-after: \t120 \r\nRetry-After: 240\r\nContent-Length: 2\r\n\r\nno"},
	{true, "HTTP/1.1 429 No\r\nRetry-After:\r\nRetry-After: Fri, 13 Mar 2026 18:30:00 GMT\r\nContent-Length: 2\r\n\r\nno"},
	{true, "HTTP/1.1 429 No\r\nRetry-After: " + strings.Repeat("1", 65) + "\r\nContent-Length: 2\r\n\r\nno"},
	{true, "HTTP/1.1 200 OK\r\nRetry-After: 120\r\nContent-Length: 2\r\n\r\nok"},
	{false, "HTTP/1.1 429 No\r\nRetry-After: 120\r\n\r\nuntil the end"},
	{true, "HTTP/1.1 200 OK\r\nContent-Length: 6000\r\n\r\n" + strings.Repeat("long ", 1200)},
	{false, ""},
	{false, "\r\n" + answerOK},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b"},
	{false, "HTTP/1.1 200 OK\r\n\r\nuntil the end"},
	{false, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"},
	{false, "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"},
	{false, "HTTP/1.1\t200 OK\r\nContent-Length: 2\r\n\r\nok"},
	{false, "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok"},
	{false, "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok"},
	{false, "HTTP/1.1 -20 OK\r\nContent-Length: 2\r\n\r\nok"},
	{false, "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok"},
	{false, "HTTP/1.1 200 O\rK\r\nContent-Length: 2\r\n\r\nok"},
	{false, "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\r\n\r\nok"},
	{false, "HTTP/1.1 200 OK\r\n Content-Length: 2\r\n\r\nok"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\n c\r\n\r\nok"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\tA: b\r\n\r\nok"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA\r\n\r\nok"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n: b\r\n\r\nok"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: \x00\r\n\r\nok"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: \x7f\r\n\r\nok"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 1\r\n\r\nok"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\nok"},
	{false, "HTTP/1.1 204 No Content\r\nContent-Length: soon\r\n\r\n"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\nConnection: close\r\n\r\nok"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive, close\r\n\r\nok"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: \xe2\x84\xaaeep-alive\r\n\r\nok"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection:\r\n\r\nok"},
	{false, chunkedOK + "2;a=b\r\nok\r\n0\r\nA: b\r\n\r\n"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\ntransfer-encoding: identity\r\n\r\nok"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTrailer: A\r\n\r\nok"},
	{false, "HTTP/1.1 102 Processing\r\n\r\n" + answerOK},
	{false, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\nbeyond"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: " + strings.Repeat("b", 4<<10) + "\r\n\r\nok"},
	{false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: " + strings.Repeat("b", maxResponseHeader) + "\r\n\r\nok"},
}

// What is odd is not for us to judge; what is common must not be odd, or nothing is won.
func TestPlainHeaders(t *testing.T) {
	t.Parallel()
	for _, tc := range headers {
		in := newResponseReader(strings.NewReader(tc.response))
		if _, got := in.readPlain(); got != tc.plain {
			t.Errorf("%.200q: plain: %t", tc.response, got)
		}
		in.free()
		checkPlain(t, []byte(tc.response))
	}
}

// FuzzPlainHeader holds our reading of a response against that of net/http.
func FuzzPlainHeader(f *testing.F) {
	for _, h := range headers {
		if len(h.response) < 8<<10 { // longer ones would take the fuzzer's time
			f.Add([]byte(h.response))
		}
	}
	f.Fuzz(checkPlain)
}

// checkPlain reads a response as it may come, and compares it with what net/http alone
// makes of it.
func checkPlain(t *testing.T, response []byte) {
	for name, coming := range map[string]func(io.Reader) io.Reader{
		"in one piece": func(r io.Reader) io.Reader { return r },
		"by the byte":  iotest.OneByteReader,
		"by halves":    iotest.HalfReader,
		"with its end": iotest.DataErrReader,
		"broken off":   func(r io.Reader) io.Reader { return io.MultiReader(r, iotest.ErrReader(errors.New("reset"))) },
	} {
		got := readAs(coming(bytes.NewReader(response)), (*responseReader).readHeader)
		want := readAs(coming(bytes.NewReader(response)), (*responseReader).readByNetHTTP)
		if got != want {
			t.Errorf("%.200q, %s:\ngot  %.200s\nwant %.200s", response, name, got, want)
		}
	}
}

// readByNetHTTP is readHeader without what we read ourselves.
func (r *responseReader) readByNetHTTP() (status int, keepFor time.Duration, err error) {
	for r.body == nil && err == nil {
		status, keepFor, err = r.readOdd()
	}
	return status, keepFor, err
}

// readAs reads a response, and says all that a caller can see of it.
func readAs(from io.Reader, readHeader func(*responseReader) (int, time.Duration, error)) string {
	in := newResponseReader(from)
	defer in.free()
	status, keepFor, err := readHeader(in)
	if err != nil {
		return fmt.Sprint(status, keepFor, err, in.hasBegun())
	}
	body, err := io.ReadAll(in)
	drained := in.isDrained()
	rest, _ := io.ReadAll(in.in)
	return fmt.Sprintf("%d %s %v %t %q %q, then %q", status, keepFor, err, drained, in.retryAfter, body, rest)
}
