package sender

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// proxiedConn is a connection of HTTP/1 through a proxy, which net/http speaks
// for us.
type proxiedConn struct {
	client *http.ClientConn
	line   *line // to the proxy
	used   bool  // it has had a request
}

func (c *proxiedConn) shared() bool { return false }

func (c *proxiedConn) ready(time.Time) bool { return c.client.Err() == nil }

func (c *proxiedConn) close() { _ = c.client.Close() }

func (c *proxiedConn) roundTrip(ctx context.Context, req *request) (o outcome) {
	first := !c.used
	c.used = true
	before := c.line.received.Load()
	timed, cancel := context.WithDeadline(ctx, req.deadline)
	defer cancel()
	var begun atomic.Bool
	traced := httptrace.WithClientTrace(timed, &httptrace.ClientTrace{
		GotFirstResponseByte: func() { begun.Store(true) },
	})
	post := req.post(traced)
	post.Body = io.NopCloser(bytes.NewReader(req.Body)) // which net/http writes together with the head
	resp, err := c.client.RoundTrip(post)
	if err != nil {
		o.Response = req.fail(ctx, c.line.refusal(err, first), waiting)
		o.silent = o.TimedOut && c.line.received.Load() == before
		if !first && !begun.Load() && !o.TimedOut && ctx.Err() == nil {
			o.again = lost
		}
		return o
	}
	defer resp.Body.Close()
	o.Response = req.response(ctx, resp.StatusCode, resp.Body)
	o.RetryAfter = retryAfter(resp)
	if o.Failure == "" && !resp.Close && resp.StatusCode >= 200 {
		o.keepFor = keepAlive(resp.Header)
	}
	return o
}
