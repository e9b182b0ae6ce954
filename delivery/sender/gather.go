package sender

import (
	"net"
	"runtime"
	"sync"
	"time"
)

const (
	// maxGathered is how many bytes may wait to be written, unless a single frame is longer.
	maxGathered = 32 << 10
	// closeGrace is how long a connection may take to say goodbye to an endpoint, which may
	// not read it: as long as net/http gives TLS.
	closeGrace = 250 * time.Millisecond
)

// gatheredConn is a connection of HTTP/2 whose writes are gathered. Each request is written
// by a goroutine of its own, in two frames or more. What several requests write at the same
// time shares one record of TLS and one system call.
//
// A write starts a goroutine that hands over what waits. It first lets all goroutines run
// that can, since they may be about to write, too. A lone request has none to wait for.
type gatheredConn struct {
	net.Conn
	line *line

	mu      sync.Mutex
	changed sync.Cond // there is room, or writing has ended
	settling
	waiting *[]byte // or nil
	writing bool    // a goroutine hands over
	err     error   // why nothing is written any more
	// accepted is how many bytes the connection was given, and handedOver how many of
	// them may have been sent.
	accepted, handedOver int64
}

// gather gathers the writes to a connection on a line.
func gather(conn net.Conn, line *line) *gatheredConn {
	c := &gatheredConn{Conn: conn, line: line, settling: newSettling()}
	c.changed.L = &c.mu
	return c
}

// Write accepts bytes, to be written soon. Its error may be that of an earlier write.
func (c *gatheredConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.err == nil && c.waiting != nil && len(*c.waiting)+len(p) > maxGathered {
		c.changed.Wait()
	}
	if c.err != nil {
		return 0, c.err
	}
	if c.waiting == nil {
		c.waiting = getBuffer()
	}
	*c.waiting = append(*c.waiting, p...)
	c.accepted += int64(len(p))
	c.wrote()
	if !c.writing {
		c.writing = true
		go c.handOver()
	}
	return len(p), nil
}

// handOver writes until nothing waits.
func (c *gatheredConn) handOver() {
	for {
		runtime.Gosched()
		b := c.take()
		if b == nil {
			return
		}
		_, err := c.Conn.Write(*b)
		putBuffer(b)
		if err != nil {
			c.end(err)
			_ = c.line.Close() // so that those who wait for responses are told
		}
	}
}

// take returns what is to be written, or nil if there is nothing more.
func (c *gatheredConn) take() *[]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.waiting
	c.waiting = nil
	if b != nil {
		c.handedOver = c.accepted
	}
	c.writing = b != nil
	c.changed.Broadcast()
	return b
}

// end makes further writes fail, and drops what waits.
func (c *gatheredConn) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(err)
}

func (c *gatheredConn) endLocked(err error) {
	if c.err == nil {
		c.err = err
	}
	c.waiting = nil
	c.changed.Broadcast()
}

// mark is for what will be accepted from now on.
func (c *gatheredConn) mark() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.accepted
}

// revoke reports whether nothing has been sent of what was accepted since the mark, and
// sees to it that nothing will be. It is for a connection that has ended.
func (c *gatheredConn) revoke(mark int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.handedOver > mark {
		return false
	}
	c.endLocked(net.ErrClosed)
	return true
}

// Close writes what waits, and closes the connection.
func (c *gatheredConn) Close() error {
	timer := time.AfterFunc(closeGrace, func() { _ = c.line.Close() })
	defer timer.Stop()
	c.mu.Lock()
	for c.writing {
		c.changed.Wait()
	}
	c.endLocked(net.ErrClosed)
	c.finish()
	c.mu.Unlock()
	return c.Conn.Close()
}

// settling finds out when the endpoint's first settings of HTTP/2 are known, by what the
// client writes: first its own settings, and next, as long as it has no request, that it
// has taken over those of the endpoint, or that the connection ends.
type settling struct {
	settled chan struct{} // closed then
	writes  int           // that come before
}

func newSettling() settling { return settling{make(chan struct{}), 2} }

// wrote is to be called after each write.
func (s *settling) wrote() {
	if s.writes > 0 {
		s.writes--
		if s.writes == 0 {
			close(s.settled)
		}
	}
}

// finish is to be called at the end of the connection.
func (s *settling) finish() {
	if s.writes > 0 {
		s.writes = 0
		close(s.settled)
	}
}
