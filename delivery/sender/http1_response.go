package sender

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"sync"
	"time"
)

var (
	// errStatus is for what http.ReadResponse lets through: a status below 100.
	errStatus     = errors.New("malformed HTTP status code")
	errLongHeader = errors.New("response headers exceeded the limit")
)

// responseReader reads a response of HTTP/1, and the informational ones before it.
type responseReader struct {
	in     *bufio.Reader
	source limitedReader
	body   io.Reader
	plain  plainBody
	// retryAfter is that of the response.
	retryAfter string
}

// limitedReader reads up to a limit, or the first error, and notes why it ends.
type limitedReader struct {
	io.Reader
	left int
	err  error
}

func (l *limitedReader) Read(p []byte) (n int, err error) {
	if l.err == nil && l.left <= 0 {
		l.err = errLongHeader
	}
	if l.err != nil {
		return 0, l.err
	}
	n, l.err = l.Reader.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, l.err
}

var responseReaders = sync.Pool{New: func() any {
	r := new(responseReader)
	r.in = bufio.NewReader(&r.source)
	return r
}}

// newResponseReader reads from a connection, until it is freed.
func newResponseReader(from io.Reader) *responseReader {
	r := responseReaders.Get().(*responseReader)
	r.source = limitedReader{Reader: from, left: maxResponseHeader}
	r.in.Reset(&r.source)
	return r
}

func (r *responseReader) free() {
	r.source, r.body, r.plain, r.retryAfter = limitedReader{}, nil, plainBody{}, ""
	responseReaders.Put(r)
}

// post is all that http.ReadResponse must know of a request.
var post = &http.Request{Method: http.MethodPost}

// readHeader reads up to the body. One limit is for the headers of all informational
// responses and of the last, so that an endpoint cannot go on with them for ever.
// keepFor is how long the connection may be idle before its next request, or 0 if
// this response is the last one on it. An error comes with the status if the status
// line was good.
func (r *responseReader) readHeader() (status int, keepFor time.Duration, err error) {
	for {
		if h, ok := r.readPlain(); ok {
			return h.status, h.keepFor, nil
		}
		if status, keepFor, err = r.readOdd(); err != nil || r.body != nil {
			return status, keepFor, err
		}
	}
}

// readPlain reads a header unless it is odd; then it leaves everything to readOdd.
func (r *responseReader) readPlain() (h plainHeader, ok bool) {
	for n := 1; ; {
		if _, err := r.in.Peek(n); err != nil {
			return h, false
		}
		buffered, _ := r.in.Peek(r.in.Buffered())
		switch h.parse(buffered) {
		case plain:
			_, _ = r.in.Discard(h.size)
			r.plain = plainBody{in: r.in, left: h.length}
			r.source.left, r.body, r.retryAfter = math.MaxInt, &r.plain, h.retryAfter
			return h, true
		case odd:
			return h, false
		}
		n = len(buffered) + 1
	}
}

// readOdd reads the header of any response. After that of an informational one there is
// no body, and another header follows.
func (r *responseReader) readOdd() (status int, keepFor time.Duration, err error) {
	status = r.peekStatus()
	resp, err := http.ReadResponse(r.in, post) //nolint:bodyclose // to close the body is to read on
	if err != nil {
		return status, 0, r.cause(err)
	}
	status = resp.StatusCode
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		return status, 0, nil
	}
	r.source.left, r.body, r.retryAfter = math.MaxInt, resp.Body, retryAfter(resp)
	if resp.Close || status < 200 {
		return status, 0, nil
	}
	return status, keepAlive(resp.Header), nil
}

// peekStatus returns the status of the response that comes next, without reading it:
// 0 if no status line comes, or that of an informational response.
func (r *responseReader) peekStatus() int {
	for n := 1; ; {
		if _, err := r.in.Peek(n); err != nil {
			return 0
		}
		buffered, _ := r.in.Peek(r.in.Buffered())
		if line, _, whole := bytes.Cut(buffered, []byte("\n")); whole {
			return finalStatus(line)
		}
		n = len(buffered) + 1
	}
}

// finalStatus is the status in a status line, as http.ReadResponse understands it.
func finalStatus(line []byte) int {
	version, rest, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\r")), []byte(" "))
	if len(version) != len("HTTP/1.1") || string(version[:5]) != "HTTP/" || version[6] != '.' || !isDigit(version[5]) || !isDigit(version[7]) {
		return 0
	}
	code, _, _ := bytes.Cut(bytes.TrimLeft(rest, " "), []byte(" "))
	if len(code) != 3 || !isDigit(code[0]) || !isDigit(code[1]) || !isDigit(code[2]) {
		return 0
	}
	status := int(code[0]-'0')*100 + int(code[1]-'0')*10 + int(code[2]-'0')
	if status < 200 && status != http.StatusSwitchingProtocols {
		return 0
	}
	return status
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// Read reads the body.
func (r *responseReader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.cause(err)
	}
	return n, err
}

// cause returns why reading failed, where net/http's error says less: half a line is
// malformed, but if the time is up, that is why.
func (r *responseReader) cause(err error) error {
	if r.source.err != nil && !errors.Is(r.source.err, io.EOF) {
		return r.source.err
	}
	return err
}

// hasBegun says, before the body, that anything of a response has come.
func (r *responseReader) hasBegun() bool { return r.source.left < maxResponseHeader }

// isDrained says, after the body, that nothing else has come.
func (r *responseReader) isDrained() bool { return r.in.Buffered() == 0 }

// response reads a body and makes of it and the status what the log keeps.
func (req *request) response(ctx context.Context, status int, body io.Reader) Response {
	switch {
	case status < 100:
		return req.fail(ctx, errStatus, waiting)
	case status == http.StatusSwitchingProtocols:
		// No response but a connection, which no timeout ends.
		return Response{StatusCode: status}
	}
	text, truncated, err := readText(body, req.MaxResponse)
	var r Response
	if err != nil {
		r = req.fail(ctx, err, reading)
	}
	r.StatusCode, r.Body, r.Truncated = status, text, truncated
	return r
}
