package sender

import (
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slowConn is a connection of which each write waits to be let through.
type slowConn struct {
	net.Conn
	writes chan string // what is being written
	let    chan error  // ends a write
	closed chan struct{}
}

func (c *slowConn) Write(p []byte) (int, error) {
	select {
	case c.writes <- string(p):
	case <-c.closed:
		return 0, net.ErrClosed
	}
	select {
	case err := <-c.let:
		return len(p), err
	case <-c.closed:
		return 0, net.ErrClosed
	}
}

func (c *slowConn) Close() error {
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	return nil
}

func gatherSlowly() (*gatheredConn, *slowConn) {
	slow := &slowConn{writes: make(chan string), let: make(chan error), closed: make(chan struct{})}
	return gather(slow, &line{Conn: slow}), slow
}

// accept writes what must be accepted at once.
func (c *gatheredConn) accept(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if n, err := c.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
	}
}

// What comes while a write is on its way is written together, in its order.
func TestWritesAreGathered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, slow := gatherSlowly()
		var got []string
		c.accept(t, "a")
		got = append(got, <-slow.writes)
		c.accept(t, "b", "c", "d")
		slow.let <- nil
		got = append(got, <-slow.writes)
		slow.let <- nil
		synctest.Wait()
		c.accept(t, "e")
		got = append(got, <-slow.writes)
		slow.let <- nil
		if !slices.Equal(got, []string{"a", "bcd", "e"}) {
			t.Errorf("written were %q", got)
		}
	})
}

// No more waits to be written than the limit, but a single frame may be longer.
func TestGatheredBytesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, slow := gatherSlowly()
		long := strings.Repeat("x", 2*maxGathered)
		c.accept(t, "a")
		<-slow.writes
		c.accept(t, long)
		accepted := false
		go func() {
			c.accept(t, "b")
			accepted = true
		}()
		synctest.Wait()
		if accepted {
			t.Error("there was no limit")
		}
		slow.let <- nil
		if <-slow.writes != long {
			t.Error("something else was written")
		}
		synctest.Wait()
		if !accepted {
			t.Error("it did not go on")
		}
		slow.let <- nil
		<-slow.writes
		slow.let <- nil
	})
}

// A write that fails ends the connection, and is what those who write later are told.
func TestGatheredWriteFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, slow := gatherSlowly()
		c.accept(t, "a")
		<-slow.writes
		c.accept(t, strings.Repeat("x", maxGathered))
		reason := errors.New("no")
		waiting := make(chan error)
		go func() {
			_, err := c.Write([]byte("b"))
			waiting <- err
		}()
		synctest.Wait()
		slow.let <- reason
		if err := <-waiting; !errors.Is(err, reason) {
			t.Errorf("who waited for room got %v", err)
		}
		<-slow.closed
		if _, err := c.Write([]byte("c")); !errors.Is(err, reason) {
			t.Errorf("who came later got %v", err)
		}
	})
}

// What has not been handed over yet can be taken back.
func TestGatheredBytesAreRevoked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, slow := gatherSlowly()
		first := c.mark()
		c.accept(t, "a")
		<-slow.writes
		second := c.mark()
		c.accept(t, "b")
		third := c.mark()
		if c.revoke(first) {
			t.Error("what was being written was taken back")
		}
		if !c.revoke(third) || !c.revoke(second) {
			t.Error("what only waited was not taken back")
		}
		slow.let <- nil
		synctest.Wait()
		if c.handedOver != second || !c.revoke(second) {
			t.Error("it was written all the same")
		}
	})
}

// Close writes what waits, but does not wait for long.
func TestGatheredConnectionIsClosed(t *testing.T) {
	t.Parallel()
	for _, reads := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c, slow := gatherSlowly()
			began := time.Now()
			c.accept(t, "a")
			var got string
			want := closeGrace
			if reads {
				want = 0
				go func() {
					got = <-slow.writes
					slow.let <- nil
				}()
			}
			_ = c.Close()
			if took := time.Since(began); took != want || reads && got != "a" {
				t.Errorf("it took %s and wrote %q", took, got)
			}
			if _, err := c.Write([]byte("b")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("a later write got %v", err)
			}
			<-c.settled
			<-slow.closed
		})
	}
}
