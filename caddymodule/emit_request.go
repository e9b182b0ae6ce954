package caddymodule

import (
	"io"
	"net/http"
	"strings"
	"sync"
)

// requestCopy copies the body of a request as it is read.
type requestCopy struct {
	io.ReadCloser
	length   int64 // -1 if it is not announced
	encoding string

	reading sync.Mutex // also while it is copied, or what two have read could change places

	mu    sync.Mutex // the proxy's transport may still read when the answer has come
	copy  *emitCopy  // nil once it is taken
	read  int64
	ended bool
}

// maxDrain is how many bytes the server reads of a body that its handler has left alone.
const maxDrain = 256 << 10

// copyRequest has the body of a request copied; nil if it has none.
func copyRequest(r *http.Request, maxSize int64) *requestCopy {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	b := &requestCopy{
		ReadCloser: r.Body, length: r.ContentLength, encoding: strings.Join(r.Header["Content-Encoding"], ","),
		copy: &emitCopy{max: maxSize, likely: min(r.ContentLength, mostPromised)},
	}
	r.Body = b
	return b
}

// Read reads from the body and copies what it gets.
func (b *requestCopy) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.copy != nil {
		b.copy.add(p[:n])
	}
	b.read += int64(n)
	b.ended = b.ended || err == io.EOF
	return n, err
}

// whole says whether all of the body has been read.
func (b *requestCopy) whole() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended || b.read == b.length
}

// readRest reads what the handler has left of a body, if the server would do that anyway.
func (b *requestCopy) readRest(r *http.Request) {
	b.mu.Lock()
	rest := b.length - b.read
	b.mu.Unlock()
	if b.length >= 0 && rest <= maxDrain && r.Header.Get("Expect") == "" {
		_, _ = io.Copy(io.Discard, b) // whole says whether it was all
	}
}

// take gives the copy away, so that whoever still reads copies no more; nil if it has been taken.
func (b *requestCopy) take() *emitCopy {
	b.mu.Lock()
	defer b.mu.Unlock()
	taken := b.copy
	b.copy = nil
	return taken
}
