package api

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"
)

// TestDeafClient writes to a client that reads nothing: that ends when its patience
// does, or soon after the stream should, also while a write waits, and also under the
// deadlines that Caddy sets itself.
func TestDeafClient(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		patience time.Duration
		end      bool
	}{
		"out of patience": {patience: 50 * time.Millisecond},
		"at the end":      {patience: time.Hour, end: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(ended)
				ctx, cancel := context.WithCancel(r.Context())
				defer cancel()
				out := newStreamWriter(ctx, asCaddyHas(w), tc.patience)
				defer out.close()
				if tc.end {
					time.AfterFunc(50*time.Millisecond, cancel) // while a write waits, or before
				}
				for ok := true; ok; ok = out.flush() {
					out.buffer.Write(make([]byte, 1<<20))
				}
			}))
			t.Cleanup(server.Close)
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
				t.Fatal(err)
			}
			select {
			case <-ended:
			case <-time.After(time.Minute):
				t.Error("the stream does not end")
			}
		})
	}
}

// asCaddyHas wraps a writer as Caddy's server does: twice, and so that each write has
// a deadline of its own.
func asCaddyHas(w http.ResponseWriter) http.ResponseWriter {
	return &wrapper{&idleTimeoutWriter{ResponseWriter: w, control: http.NewResponseController(w)}}
}

type wrapper struct{ http.ResponseWriter }

func (w *wrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// idleTimeoutWriter sets a deadline before each piece, which a handler's own caps.
type idleTimeoutWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	limit   time.Time
}

func (w *idleTimeoutWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *idleTimeoutWriter) SetWriteDeadline(limit time.Time) error {
	w.limit = limit
	return w.control.SetWriteDeadline(limit)
}

func (w *idleTimeoutWriter) Write(b []byte) (n int, err error) {
	for chunk := range slices.Chunk(b, 64<<10) {
		deadline := time.Now().Add(time.Hour)
		if !w.limit.IsZero() && w.limit.Before(deadline) {
			deadline = w.limit
		}
		if err := w.control.SetWriteDeadline(deadline); err != nil {
			return n, err
		}
		written, err := w.ResponseWriter.Write(chunk)
		n += written
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
