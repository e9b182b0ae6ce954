package sender

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// minBodyLimit is how much of a response's body is read at least, in bytes, however
// little of it is kept: it costs nothing to be longer, but an end there must be.
const minBodyLimit = 1 << 20

// longBodyError says that a body is longer than is read, in bytes.
type longBodyError struct{ limit int }

func (e *longBodyError) Error() string {
	return fmt.Sprintf("the response is longer than %d KiB", e.limit>>10)
}

// readText reads a body to its end, since only a whole response is a success,
// and makes text of the first limit bytes.
func readText(body io.Reader, limit int) (text string, truncated bool, err error) {
	b := getBuffer()
	defer putBuffer(b)
	for err == nil && len(*b) < limit {
		*b = slices.Grow(*b, 1)
		var n int
		n, err = body.Read((*b)[len(*b):min(cap(*b), limit)])
		*b = (*b)[:len(*b)+n]
	}
	if err == nil {
		var rest int64
		most := max(limit, minBodyLimit)
		rest, err = io.Copy(io.Discard, io.LimitReader(body, int64(most-len(*b)+1)))
		truncated = rest > 0
		if len(*b)+int(rest) > most {
			err = &longBodyError{most}
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	text, truncated = responseText(*b, limit, truncated)
	return text, truncated, err
}

// responseText makes text of at most limit bytes of what came. What is not UTF-8
// becomes U+FFFD, and no character is cut.
func responseText(b []byte, limit int, truncated bool) (string, bool) {
	if truncated {
		b = trimPartialRune(b)
	}
	text := strings.ToValidUTF8(string(b), string(utf8.RuneError))
	if len(text) <= limit {
		return text, truncated
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut], true
}

// trimPartialRune takes off the beginning of a character that was cut.
func trimPartialRune(b []byte) []byte {
	for i := len(b) - 1; i >= max(0, len(b)-utf8.UTFMax); i-- {
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				return b[:i]
			}
			break
		}
	}
	return b
}

// buffers hold a request while it is written, or the beginning of a body.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 2<<10); return &b }}

// maxBuffer is how large a buffer may be to be kept.
const maxBuffer = 64 << 10

func getBuffer() *[]byte { return buffers.Get().(*[]byte) }

func putBuffer(b *[]byte) {
	if cap(*b) <= maxBuffer {
		*b = (*b)[:0]
		buffers.Put(b)
	}
}
