package sender

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
)

// maxAtOnce is how long a request's body may be to be written in one go before the
// response is read: sockets take as much even if nobody reads.
const maxAtOnce = 16 << 10

// http1Conn is a connection of HTTP/1. The goroutine that sends writes the
// request and reads the response.
type http1Conn struct {
	net.Conn // TLS on the line, or the line itself
	line     *line
	used     bool // it has had a request
	spent    bool // the last request left it unfit for another
	// watched is the end of the context that breaks off what the connection does. It
	// stays watched between requests, since most have the same: see watch.
	watched <-chan struct{}
	unwatch func() bool
	peeked  [1]byte // what ready reads; there should be nothing to read
}

func newHTTP1Conn(conn net.Conn, line *line) *http1Conn {
	return &http1Conn{Conn: conn, line: line, unwatch: func() bool { return true }}
}

// watch has the connection broken off when the context ends. It returns false if it is
// about to be broken off already, since the context before has ended.
func (c *http1Conn) watch(ctx context.Context) bool {
	if c.watched == ctx.Done() {
		return true
	}
	if !c.unwatch() {
		return false
	}
	c.watched = ctx.Done()
	c.unwatch = context.AfterFunc(ctx, func() { _ = c.SetDeadline(longAgo) })
	return true
}

// isBrokenOff says that the context has ended that was watched last.
func (c *http1Conn) isBrokenOff() bool {
	select {
	case <-c.watched:
		return true
	default:
		return false
	}
}

var longAgo = time.Unix(1, 0)

func (c *http1Conn) shared() bool { return false }

// ready finds out whether the endpoint has closed the connection, or has sent what
// nobody asked for.
func (c *http1Conn) ready(deadline time.Time) bool {
	if c.SetDeadline(deadline) != nil {
		return false
	}
	c.line.peeking = true
	_, err := c.Read(c.peeked[:])
	c.line.peeking = false
	return errors.Is(err, os.ErrDeadlineExceeded) && (!peekMovesDeadline || c.SetDeadline(deadline) == nil) &&
		!c.isBrokenOff() // if it is from now on, that moves the deadline that has just been set
}

func (c *http1Conn) close() {
	c.unwatch()
	if c.spent {
		// TLS would say goodbye, and wait for a peer that may not read it.
		_ = c.line.Close()
		return
	}
	_ = c.Close()
}

// roundTrip relies on the deadline that is set already.
func (c *http1Conn) roundTrip(ctx context.Context, req *request) outcome {
	if !c.watch(ctx) {
		c.spent = true
		return outcome{again: lost}
	}
	c.line.sent = false
	before := c.line.received.Load()
	o := c.exchange(ctx, req)
	brokenOff := c.isBrokenOff()
	if brokenOff {
		o.keepFor = 0 // the connection is, or is about to be, past its deadline
	}
	c.spent = o.keepFor == 0
	if !c.used || o.TimedOut || brokenOff {
		o.again = never
	}
	o.silent = o.TimedOut && c.line.received.Load() == before
	c.used = true
	return o
}

// exchange writes the request and reads the response. If there is a response, it
// does not matter whether the whole request could be written: endpoints answer
// 413 and close.
func (c *http1Conn) exchange(ctx context.Context, req *request) outcome {
	b := getBuffer()
	defer putBuffer(b)
	if err := appendRequestHeader(b, req); err != nil {
		return outcome{Response: failed("this request cannot be sent: "+err.Error(), err), keepFor: forever}
	}
	w := c.write(b, req.Body)
	if w.err != nil && !c.line.sent {
		return outcome{Response: req.fail(ctx, c.line.refusal(w.err, !c.used), waiting), again: lost}
	}
	in := newResponseReader(c.Conn)
	defer in.free()
	status, keepFor, err := in.readHeader()
	var o outcome
	switch {
	case err == nil:
		o.Response = req.response(ctx, status, in)
		o.RetryAfter = in.retryAfter
	case status == 0:
		o.Response = req.fail(ctx, c.line.refusal(err, !c.used), waiting)
		if !in.hasBegun() {
			o.again = lost
		}
	default:
		o.Response = req.fail(ctx, err, reading)
		o.StatusCode = status
	}
	if err != nil {
		_ = w.wait(0)
	} else if w.wait(graceAfterResponse) == nil && o.Failure == "" && in.isDrained() {
		o.keepFor = keepFor
	}
	return o
}

// write writes a request, whose header is in b, with room for more.
func (c *http1Conn) write(b *[]byte, body []byte) writing {
	if len(body) <= maxAtOnce {
		*b = append(*b, body...)
		_, err := c.Write(*b)
		return writing{err: err}
	}
	// In another goroutine, so that a response is seen that comes before the
	// endpoint has read the request.
	w := writing{to: c, done: make(chan error, 1)}
	go func() {
		_, err := c.Write(*b)
		if err == nil {
			_, err = c.Write(body)
		}
		w.done <- err
	}()
	return w
}

// writing is a request that has been written, or, if there is a channel, may still
// be being written.
type writing struct {
	err  error
	to   net.Conn
	done chan error
}

// graceAfterResponse is how long a request may still be written once the response is
// there: as long as net/http's transport waits.
const graceAfterResponse = 50 * time.Millisecond

// wait waits for the end of the writing, and forces it after the grace. It must be
// called.
func (w writing) wait(grace time.Duration) error {
	if w.done == nil {
		return w.err
	}
	select {
	case err := <-w.done:
		return err
	case <-time.After(grace):
		_ = w.to.SetWriteDeadline(longAgo)
		return <-w.done
	}
}
