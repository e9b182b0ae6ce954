package sender

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http2"
)

// clientConnection is a connection of net/http: one of HTTP/2, or one through a
// proxy.
type clientConnection struct {
	client *http.ClientConn
	many   bool // requests at a time
}

func (c *clientConnection) shared() bool { return c.many }

func (c *clientConnection) ready(time.Time) bool {
	if c.many {
		return c.client.Reserve() == nil
	}
	return c.client.Err() == nil
}

func (c *clientConnection) close() { _ = c.client.Close() }

func (c *clientConnection) exchange(ctx context.Context, x *exchange) (r Response, keep, unsent bool) {
	timed, cancel := context.WithDeadline(ctx, x.deadline)
	defer cancel()
	req := &http.Request{
		Method:        http.MethodPost,
		URL:           x.url,
		Host:          x.url.Host,
		Header:        x.Header,
		Body:          io.NopCloser(bytes.NewReader(x.Body)),
		ContentLength: int64(len(x.Body)),
	}
	resp, err := c.client.RoundTrip(req.WithContext(timed))
	if err != nil {
		return x.failed(ctx, err, waiting), c.many && c.client.Err() == nil, isUnprocessed(err)
	}
	defer resp.Body.Close()
	r = x.response(ctx, resp.StatusCode, resp.Body)
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
