package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
)

// bodyKind is what an operation takes as its body.
type bodyKind int

const (
	noBody       bodyKind = iota // whatever is sent is left alone
	jsonBody                     // JSON
	patchBody                    // JSON or a merge patch (RFC 7396)
	eventsBody                   // JSON: one event, or an array of them
	optionalBody                 // JSON, or nothing at all
	emptyBody                    // nothing, or a JSON object without members
)

// MaxArraySize is how many bytes the body with an array of events may have.
const MaxArraySize = 16 << 20

// maxBody is how many bytes a body that is not events may have: ample for a
// webhook with as many event types as it may have.
const maxBody = 1 << 20

// readBody checks the headers that speak of the body and reads it, into the buffer if that
// is large enough. It returns nil if the operation takes none, or if none was sent where
// none is needed.
func (c *call) readBody(w http.ResponseWriter, r *http.Request, kind bodyKind, buffer []byte) ([]byte, error) {
	if kind == noBody {
		return nil, nil
	}
	arrival := c.arrival()
	arrival.begin(w, c.api.Intake.Patience, min(r.ContentLength, MaxArraySize))
	body, err := c.receiveBody(w, r, kind, buffer, arrival)
	late, again := arrival.end()
	if !again && c.scratch != nil {
		c.scratch.arrival = nil
	}
	c.unread = err != nil && !late // of a late one, nothing more can be read
	if late {
		return nil, lateBody()
	}
	return body, err
}

// receiveBody reads the body while it is awaited.
func (c *call) receiveBody(w http.ResponseWriter, r *http.Request, kind bodyKind, buffer []byte, arrival *arrival) ([]byte, error) {
	if kind.takesNone(r) {
		return nil, nil
	}
	if err := checkMediaType(w, r.Header, kind); err != nil {
		return nil, err
	}
	limit := int64(maxBody)
	if kind == eventsBody {
		limit = MaxArraySize
	}
	if r.ContentLength > limit {
		return nil, tooLarge(kind, limit)
	}
	if r.ContentLength > smallBody {
		if err := c.takeRoom(r.Context(), r.ContentLength+1); err != nil {
			return nil, err
		}
	}
	grow := func(size int64) error {
		if r.ContentLength < 0 {
			arrival.grow(size)
		}
		return c.growRoom(size)
	}
	body, err := readAll(http.MaxBytesReader(w, r.Body, limit), buffer, r.ContentLength, grow)
	if err == nil && kind == eventsBody && !isArray(body) && int64(len(body)) > c.api.MaxEventSize {
		return nil, eventTooLarge(c.api.MaxEventSize)
	}
	if err == nil {
		return body, checkNotEmpty(body)
	}
	if p, ok := errors.AsType[*problem](err); ok {
		return nil, p
	}
	return nil, unread(kind, err)
}

// arrival is what awaits the call's body.
func (c *call) arrival() *arrival {
	if c.scratch == nil {
		return new(arrival)
	}
	if c.scratch.arrival == nil {
		c.scratch.arrival = new(arrival)
	}
	return c.scratch.arrival
}

// unread is the problem of a body that could not be read to its end.
func unread(kind bodyKind, err error) *problem {
	large, isLarge := errors.AsType[*http.MaxBytesError](err) // also of a limit that the server has
	switch {
	case isLarge:
		return tooLarge(kind, large.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return lateBody()
	default:
		return &problem{Status: http.StatusBadRequest, Detail: "The body was cut off before its end. Send the request again."}
	}
}

// lateBody refuses a body that did not arrive in time.
func lateBody() *problem {
	return &problem{Status: http.StatusRequestTimeout, Detail: "The body did not arrive in time, and nothing was stored. Send the request again."}
}

// tooManyBodies refuses a body for which there is no room.
func tooManyBodies() *problem {
	return &problem{
		Status: http.StatusTooManyRequests, retryAfter: busyRetry, limit: limitBodies,
		Detail: "Too many large bodies are being read. Send fewer at a time, and try again in a moment.",
	}
}

// takesNone says whether the request has no body that would have to be read.
func (k bodyKind) takesNone(r *http.Request) bool {
	switch k {
	case optionalBody: // an announced type means that there should be one
		return r.Header.Get("Content-Type") == "" && isEmpty(r)
	case emptyBody:
		return r.ContentLength == 0 || r.Header.Get("Content-Type") == "" && isEmpty(r)
	default:
		return false
	}
}

// isEmpty says whether the body of a request that announces no type is empty. If its
// length is not known, as HTTP/2 and HTTP/3 allow for an empty one too, its first byte
// is lost: a body without a type is refused.
func isEmpty(r *http.Request) bool {
	if r.ContentLength >= 0 {
		return r.ContentLength == 0
	}
	_, err := io.ReadFull(r.Body, make([]byte, 1))
	return errors.Is(err, io.EOF)
}

// readAll reads a body whose length may be known (or -1), into the buffer if that is large
// enough. What is announced is believed only so far, for the bytes may never come: beyond
// a little, there is room for as much again as has arrived. Before it is made, growing is
// asked.
func readAll(r io.Reader, buffer []byte, length int64, growing func(size int64) error) ([]byte, error) {
	const first = 4 << 10
	if size := int(min(max(length, bytes.MinRead), first)) + 1; cap(buffer) < size {
		buffer = make([]byte, 0, size)
	}
	for buffer = buffer[:0]; ; {
		if len(buffer) == cap(buffer) {
			size := grown(len(buffer), length)
			if err := growing(int64(size)); err != nil {
				return buffer, err
			}
			buffer = append(make([]byte, 0, size), buffer...)
		}
		n, err := r.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		switch {
		case err == io.EOF:
			return buffer, nil
		case err != nil:
			return buffer, err
		}
	}
}

// grown is how large a full buffer becomes: twice as large, but no larger than what is
// announced, and the byte that a reader needs to see its end.
func grown(full int, length int64) int {
	size := 2 * full
	if fits := int(length) + 1; fits > full {
		size = min(size, fits)
	}
	return size
}

// checkMediaType refuses a body that is not what the operation takes. The headers of
// the problem say what it does take (RFC 9110, section 15.5.16).
func checkMediaType(w http.ResponseWriter, h http.Header, kind bodyKind) error {
	for _, encoding := range h.Values("Content-Encoding") {
		if !strings.EqualFold(strings.TrimSpace(encoding), "identity") {
			w.Header().Set("Accept-Encoding", "identity")
			return &problem{Status: http.StatusUnsupportedMediaType, Detail: "Compressed bodies are not accepted: send the request without Content-Encoding."}
		}
	}
	contentType := h.Get("Content-Type")
	if contentType == "application/json" { // as nearly all clients write it: there is nothing to parse
		return nil
	}
	mediaType, params, err := mime.ParseMediaType(contentType)
	ok := err == nil && slices.Contains(kind.mediaTypes(), mediaType)
	for name, value := range params {
		ok = ok && name == "charset" && strings.EqualFold(value, "utf-8")
	}
	if !ok {
		accepted := strings.Join(kind.mediaTypes(), ", ")
		w.Header().Set("Accept", accepted)
		if kind == patchBody {
			w.Header().Set("Accept-Patch", accepted) // RFC 5789, section 2.2
		}
		return &problem{Status: http.StatusUnsupportedMediaType, Detail: "The body must be JSON in UTF-8: send it with \"Content-Type: application/json\"."}
	}
	return nil
}

// mediaTypes are those that a body may have.
func (k bodyKind) mediaTypes() []string {
	if k == patchBody {
		return []string{"application/json", "application/merge-patch+json"}
	}
	return []string{"application/json"}
}

func checkNotEmpty(body []byte) error {
	if len(bytes.TrimLeft(body, jsonSpace)) == 0 {
		return &problem{Status: http.StatusBadRequest, Detail: "The body is empty: it must be JSON."}
	}
	return nil
}

// jsonSpace is what may stand between the tokens of JSON (RFC 8259, section 2).
const jsonSpace = " \t\r\n"

func isArray(body []byte) bool {
	body = bytes.TrimLeft(body, jsonSpace)
	return len(body) > 0 && body[0] == '['
}

// tooLarge refuses a body for its size, whatever is in it.
func tooLarge(kind bodyKind, limit int64) *problem {
	detail := fmt.Sprintf("The body is larger than %d bytes, the most that is allowed.", limit)
	if kind == eventsBody {
		detail += " Emit fewer events in one call."
	}
	return &problem{Status: http.StatusRequestEntityTooLarge, Detail: detail}
}

// eventTooLarge refuses an event for its size; fields name it, unless it is the only
// one.
func eventTooLarge(limit int64, fields ...string) *problem {
	p := &problem{
		Status: http.StatusRequestEntityTooLarge,
		Detail: fmt.Sprintf("The event is larger than %d bytes, the most that max_event_size allows.", limit),
	}
	for _, field := range fields {
		p.Errors = append(p.Errors, fieldError{field, "This event is too large."})
	}
	return p
}
