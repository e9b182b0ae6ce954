package sender

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// http2Conn is a connection of HTTP/2, which net/http speaks for us.
type http2Conn struct {
	client *http.ClientConn
	line   *line
	// settled is closed when the endpoint's first settings are known.
	settled  <-chan struct{}
	gathered *gatheredConn // or nil, through a proxy
	used     atomic.Bool   // it has had a request
}

func (c *http2Conn) shared() bool { return true }

// settle waits until the endpoint has said how many requests it takes at a time. Until
// then net/http would take a hundred, and if the limit turned out to be lower, it would
// send none of those that wait. On an error, the connection is closed.
func (c *http2Conn) settle(ctx context.Context) error {
	select {
	case <-c.settled:
		return nil
	case <-ctx.Done():
		c.close()
		return ctx.Err()
	}
}

func (c *http2Conn) ready(time.Time) bool { return c.client.Reserve() == nil }

func (c *http2Conn) close() { _ = c.client.Close() }

func (c *http2Conn) roundTrip(ctx context.Context, req *request) (o outcome) {
	first := !c.used.Swap(true)
	before := c.line.received.Load()
	mark := c.mark()
	timed, cancel := context.WithDeadline(ctx, req.deadline)
	defer cancel()
	resp, err := c.client.RoundTrip(req.post(timed))
	if err == nil {
		defer resp.Body.Close()
		o.Response = req.response(ctx, resp.StatusCode, resp.Body)
		o.RetryAfter = retryAfter(resp)
	} else {
		o.Response = req.fail(ctx, c.line.refusal(err, first), waiting)
	}
	o.silent = o.TimedOut && c.line.received.Load() == before
	if c.client.Err() == nil && !o.silent {
		o.keepFor = forever
	}
	if err != nil && !o.TimedOut && ctx.Err() == nil {
		o.again = c.again(err, first, mark)
	}
	return o
}

// mark is for what is written from now on.
func (c *http2Conn) mark() int64 {
	if c.gathered == nil {
		return 0
	}
	return c.gathered.mark()
}

// isUnsent reports whether nothing written since the mark has been sent, and sees to it
// that nothing will be. It is for a connection that has ended.
func (c *http2Conn) isUnsent(mark int64) bool {
	return c.gathered != nil && c.gathered.revoke(mark)
}

// again judges the error of a request without a response, by the rules of HTTP/2
// (RFC 9113, section 8.7). The mark was set before the request was written.
func (c *http2Conn) again(err error, first bool, mark int64) again {
	var stream http2.StreamError
	switch {
	case errors.As(err, &stream) && stream.Code == http2.ErrCodeRefusedStream, isAfterGoAway(err):
		return unprocessed
	case errors.As(err, &stream), first, c.client.Err() == nil:
		return never
	case (&failure{err: err}).explainHTTP() != "" && !c.isUnsent(mark):
		return never // the endpoint broke the protocol, maybe in its response
	}
	return lost
}

// isAfterGoAway says that the endpoint was closing the connection already, and has
// not processed the request. These errors of net/http have no types.
func isAfterGoAway(err error) bool {
	return slices.ContainsFunc([]string{
		"http2: client conn not usable",
		"http2: Transport received Server's graceful shutdown GOAWAY",
		"http2: Transport received GOAWAY from server", // with an error, and for the first stream
	}, func(cause string) bool { return strings.HasPrefix(err.Error(), cause) })
}

// post makes the request one of net/http.
func (req *request) post(ctx context.Context) *http.Request {
	body := new(requestBody)
	body.Reset(req.Body)
	post := new(http.Request).WithContext(ctx) // which makes a copy
	post.Method = http.MethodPost
	post.URL = req.url
	post.Host = req.url.Host
	post.Header = req.header()
	post.Body = body
	post.ContentLength = int64(len(req.Body))
	return post
}

// requestBody is the body of a request.
type requestBody struct{ bytes.Reader }

// Read says with the last bytes that they are the last, so that nobody asks again.
func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == nil && b.Len() == 0 {
		err = io.EOF
	}
	return n, err
}

// Close does nothing.
func (b *requestBody) Close() error { return nil }
