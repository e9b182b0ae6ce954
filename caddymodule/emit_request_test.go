package caddymodule

import (
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// yieldingReader lets others go first when it has read.
type yieldingReader struct {
	mu sync.Mutex
	r  io.Reader
}

func (y *yieldingReader) Read(p []byte) (int, error) {
	y.mu.Lock()
	n, err := y.r.Read(p)
	y.mu.Unlock()
	runtime.Gosched()
	return n, err
}

// TestCopyInOrder has two read a body, as a transport that still sends it and the handler that
// needs the rest: the copy is what came.
func TestCopyInOrder(t *testing.T) {
	text := strings.Repeat("0123456789abcdef", 4096)
	b := &requestCopy{
		ReadCloser: io.NopCloser(&yieldingReader{r: strings.NewReader(text)}), length: int64(len(text)), copy: &emitCopy{max: 1 << 20},
	}
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for p := make([]byte, 1); ; {
				if _, err := b.Read(p); err != nil {
					return
				}
			}
		})
	}
	readers.Wait()
	taken := b.take()
	defer taken.free()
	if string(taken.bytes) != text {
		t.Error("the copy is not what was read")
	}
}
