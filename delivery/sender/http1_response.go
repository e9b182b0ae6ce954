package sender

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"sync"
)

var (
	// errStatus is what ReadResponse lets through: a status below 100, which is
	// none.
	errStatus     = errors.New("malformed HTTP status code")
	errLongHeader = errors.New("response headers exceeded the limit")
)

// answer is what an endpoint says on a connection of HTTP/1, informational
// answers included.
type answer struct {
	in     *bufio.Reader
	source limited
	body   io.Reader
}

// limited reads no more than it may, and notes why it ends.
type limited struct {
	io.Reader
	left int
	err  error
}

func (l *limited) Read(p []byte) (n int, err error) {
	if l.left <= 0 {
		l.err = errLongHeader
		return 0, l.err
	}
	n, l.err = l.Reader.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, l.err
}

var answers = sync.Pool{New: func() any {
	a := new(answer)
	a.in = bufio.NewReader(&a.source)
	return a
}}

// newAnswer reads from a connection, until it is freed.
func newAnswer(from io.Reader) *answer {
	a := answers.Get().(*answer)
	a.source = limited{Reader: from, left: maxResponseHeader}
	a.in.Reset(&a.source)
	return a
}

func (a *answer) free() {
	a.source, a.body = limited{}, nil
	answers.Put(a)
}

// post is all that ReadResponse must know of a request.
var post = &http.Request{Method: http.MethodPost}

// head reads up to the body. The headers of informational answers count, too, so
// that there is an end of them. Last says that nothing comes after this answer.
func (a *answer) head() (status int, last bool, err error) {
	for {
		resp, err := http.ReadResponse(a.in, post) //nolint:bodyclose // to close the body is to read on
		if err != nil {
			return 0, true, a.because(err)
		}
		if status := resp.StatusCode; status < 100 || status > 199 || status == http.StatusSwitchingProtocols {
			a.source.left, a.body = math.MaxInt, resp.Body
			return status, resp.Close || status < 200, nil
		}
	}
}

// Read reads the body.
func (a *answer) Read(p []byte) (int, error) {
	n, err := a.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = a.because(err)
	}
	return n, err
}

// because returns why an answer ends, where what net/http makes of its end says
// less: half a line is malformed, but if the time is up, that is why.
func (a *answer) because(err error) error {
	if a.source.err != nil && !errors.Is(a.source.err, io.EOF) {
		return a.source.err
	}
	return err
}

// over says, after the body, that nothing has come besides.
func (a *answer) over() bool { return a.in.Buffered() == 0 }

// response makes of an answer what the log keeps.
func (x *exchange) response(ctx context.Context, status int, body io.Reader) Response {
	switch {
	case status < 100:
		return x.failed(ctx, errStatus, waiting)
	case status == http.StatusSwitchingProtocols:
		// No response but a connection, which no timeout ends.
		return Response{StatusCode: status}
	}
	text, truncated, err := readText(body, x.MaxResponse)
	var r Response
	if err != nil {
		r = x.failed(ctx, err, reading)
	}
	r.StatusCode, r.Body, r.Truncated = status, text, truncated
	return r
}
