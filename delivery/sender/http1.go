package sender

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
)

// maxAtOnce is how long a request's body may be to be written in one go, before
// an answer is looked for: sockets take as much though nobody reads.
const maxAtOnce = 16 << 10

// http1Connection is a connection of HTTP/1. The goroutine that sends writes the
// request and reads the response.
type http1Connection struct {
	net.Conn // TLS on the line, or the line itself
	line     *line
	used     bool // it has served a request
	spent    bool // the last request left it unfit for another
	breakOff func()
	one      [1]byte // what a look reads, of which there should be nothing
}

func newHTTP1Connection(conn net.Conn, line *line) *http1Connection {
	return &http1Connection{
		Conn: conn, line: line,
		breakOff: func() { _ = conn.SetDeadline(longAgo) },
	}
}

var longAgo = time.Unix(1, 0)

func (c *http1Connection) shared() bool { return false }

// ready looks whether the endpoint has closed the connection, or has said what
// nobody asked for.
func (c *http1Connection) ready(deadline time.Time) bool {
	if c.SetDeadline(deadline) != nil {
		return false
	}
	c.line.looking = true
	_, err := c.Read(c.one[:])
	c.line.looking = false
	return errors.Is(err, os.ErrDeadlineExceeded) && (!lookMovesDeadline || c.SetDeadline(deadline) == nil)
}

func (c *http1Connection) close() {
	if c.spent {
		// TLS would say goodbye, and wait for a peer that may not read.
		_ = c.line.Close()
		return
	}
	_ = c.Close()
}

// exchange relies on the deadline that is set already.
func (c *http1Connection) exchange(ctx context.Context, x *exchange) (r Response, keep, unsent bool) {
	c.line.sent = false
	stop := context.AfterFunc(ctx, c.breakOff)
	r, keep = c.converse(ctx, x)
	if !stop() {
		keep = false // the connection is, or is about to be, past its deadline
	}
	c.spent = !keep
	unsent = r.Failure != "" && c.used && !c.line.sent && !r.TimedOut && ctx.Err() == nil
	c.used = true
	return r, keep, unsent
}

// converse writes the request and reads the response. If there is an answer, it
// does not matter whether the whole request could be written: endpoints answer
// 413 and close.
func (c *http1Connection) converse(ctx context.Context, x *exchange) (r Response, keep bool) {
	b := getBuffer()
	defer putBuffer(b)
	if err := appendHead(b, x); err != nil {
		return Response{Failure: "this request cannot be sent: " + err.Error(), Cause: err}, true
	}
	w := c.write(b, x.Body)
	if w.err != nil && !c.line.sent {
		return x.failed(ctx, w.err, waiting), false
	}
	a := newAnswer(c.Conn)
	defer a.free()
	status, last, err := a.head()
	if err != nil {
		_ = w.end(0)
		return x.failed(ctx, err, waiting), false
	}
	r = x.response(ctx, status, a)
	keep = r.Failure == "" && !last && a.over()
	return r, w.end(graceAfterAnswer) == nil && keep
}

// write writes a request, of which b has the head, and the room for more.
func (c *http1Connection) write(b *[]byte, body []byte) writing {
	if len(body) <= maxAtOnce {
		*b = append(*b, body...)
		_, err := c.Write(*b)
		return writing{err: err}
	}
	// In another goroutine, so that an answer is seen that comes before the
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

// writing is a request that is written, or, if there is a channel, still may be.
type writing struct {
	err  error
	to   net.Conn
	done chan error
}

// graceAfterAnswer is how long a request may still be written when the answer is
// there: as long as net/http's transport waits.
const graceAfterAnswer = 50 * time.Millisecond

// end ends the writing, which may go on for some time, and must be called.
func (w writing) end(grace time.Duration) error {
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
