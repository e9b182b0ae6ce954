package sender

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// clientConn is a connection of net/http: one of HTTP/2, or one through a
// proxy.
type clientConn struct {
	client *http.ClientConn
	many   bool // requests at a time
	// clientCertWanted says that the endpoint asked for a client certificate.
	clientCertWanted bool
	answered         atomic.Bool // a response has come on it
}

func (c *clientConn) shared() bool { return c.many }

func (c *clientConn) ready(time.Time) bool {
	if c.many {
		return c.client.Reserve() == nil
	}
	return c.client.Err() == nil
}

func (c *clientConn) close() { _ = c.client.Close() }

func (c *clientConn) roundTrip(ctx context.Context, req *request) (r Response, keep, unsent bool) {
	timed, cancel := context.WithDeadline(ctx, req.deadline)
	defer cancel()
	post := &http.Request{
		Method:        http.MethodPost,
		URL:           req.url,
		Host:          req.url.Host,
		Header:        req.Header,
		Body:          io.NopCloser(bytes.NewReader(req.Body)),
		ContentLength: int64(len(req.Body)),
	}
	resp, err := c.client.RoundTrip(post.WithContext(timed))
	if err != nil {
		if c.clientCertWanted && !c.answered.Load() {
			err = &tlsError{err: err, clientCertWanted: true}
		}
		return req.fail(ctx, err, waiting), c.many && c.client.Err() == nil, isUnprocessed(err)
	}
	c.answered.Store(true)
	defer resp.Body.Close()
	r = req.response(ctx, resp.StatusCode, resp.Body)
	if c.many {
		return r, c.client.Err() == nil, false
	}
	return r, r.Failure == "" && !resp.Close && resp.StatusCode >= 200, false
}

// isUnprocessed says that by the rules of HTTP/2 (RFC 9113, section 8.7) the
// endpoint has done nothing about a request: it refused the stream, or was
// closing the connection already.
func isUnprocessed(err error) bool {
	var stream http2.StreamError
	if errors.As(err, &stream) {
		return stream.Code == http2.ErrCodeRefusedStream
	}
	return strings.HasPrefix(err.Error(), "http2: client conn not usable") ||
		strings.HasPrefix(err.Error(), "http2: Transport received Server's graceful shutdown GOAWAY")
}
