package sender

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// plainHeader is the header of a response that holds nothing odd: a final status of
// HTTP/1.1, valid lines, and a body whose length is certain. It is read here, since
// http.ReadResponse allocates a map and all strings of a header, of which we need four
// values. Whatever else comes is odd, and left to http.ReadResponse, which also says
// what is wrong with it.
type plainHeader struct {
	status int
	length int64 // of the body, or -1 as long as it is unknown
	// keepFor is how long the connection may be idle, 0 if this response ends it.
	keepFor        time.Duration
	connectionSeen bool
	retryAfter     string
	size           int // how many bytes have been parsed
}

// parsed is what has become of parsing what has come so far.
type parsed int

const (
	unfinished parsed = iota
	plain
	odd
)

// parse goes on where it stopped, in what has come of the response since.
func (h *plainHeader) parse(b []byte) parsed {
	for {
		end := bytes.IndexByte(b[h.size:], '\n')
		if end < 0 {
			return unfinished
		}
		line, whole := bytes.CutSuffix(b[h.size:h.size+end], []byte("\r"))
		h.size += end + 1
		switch {
		case !whole:
			return odd
		case h.status == 0:
			whole = h.parseStatus(line)
		case len(line) == 0:
			return h.end()
		default:
			whole = h.parseField(line)
		}
		if !whole {
			return odd
		}
	}
}

func (h *plainHeader) parseStatus(line []byte) (ok bool) {
	h.status, h.length, h.keepFor = finalStatus(line), -1, forever
	return h.status >= 200 && bytes.HasPrefix(line, []byte("HTTP/1.1 ")) && isFieldValue(line)
}

func (h *plainHeader) parseField(line []byte) (ok bool) {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || !isFieldName(name) || !isFieldValue(value) { // a folded line has no name
		return false
	}
	value = bytes.Trim(value, " \t")
	switch {
	case isNamed(name, "Content-Length"):
		return h.parseLength(value)
	case isNamed(name, "Connection"):
		return h.parseConnection(value)
	case isNamed(name, "Keep-Alive"):
		h.keepFor = min(h.keepFor, keepAliveFor(string(value)))
	case isNamed(name, "Retry-After"):
		if h.retryAfter == "" && h.status/100 != 2 {
			h.retryAfter = shortRetryAfter(string(value))
		}
	case isNamed(name, "Transfer-Encoding"), isNamed(name, "Trailer"):
		return false
	}
	return true
}

func (h *plainHeader) parseLength(value []byte) (ok bool) {
	const maxDigits = 15
	if h.length >= 0 || len(value) == 0 || len(value) > maxDigits {
		return false
	}
	h.length = 0
	for _, c := range value {
		if !isDigit(c) {
			return false
		}
		h.length = 10*h.length + int64(c-'0')
	}
	return true
}

func (h *plainHeader) parseConnection(value []byte) (ok bool) {
	if h.connectionSeen {
		return false
	}
	h.connectionSeen = true
	if isNamed(value, "close") {
		h.keepFor = 0
		return true
	}
	return isNamed(value, "keep-alive")
}

// end is called when the header is complete.
func (h *plainHeader) end() parsed {
	switch {
	case h.status == http.StatusNoContent, h.status == http.StatusNotModified: // whatever they say of a length
		h.length = 0
	case h.length < 0:
		return odd // the body goes on until the connection ends
	}
	return plain
}

// isNamed compares without regard to case, and does not allocate.
func isNamed(b []byte, name string) bool {
	return len(b) == len(name) && strings.EqualFold(string(b), name)
}

func isFieldName(b []byte) bool {
	for _, c := range b {
		if !httpguts.IsTokenRune(rune(c)) {
			return false
		}
	}
	return len(b) > 0
}

func isFieldValue(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// plainBody is a body of a known length.
type plainBody struct {
	in   *bufio.Reader
	left int64
}

func (b *plainBody) Read(p []byte) (n int, err error) {
	if b.left > 0 {
		n, err = b.in.Read(p[:min(int64(len(p)), b.left)])
		b.left -= int64(n)
	}
	switch {
	case b.left == 0:
		return n, io.EOF
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
