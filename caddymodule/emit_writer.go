package caddymodule

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// emitWriter is what the next handler answers to. It passes on what it gets, when it gets it,
// and only looks: so whoever is behind it sees the same calls as without it, but for an answer
// that waits for its event.
type emitWriter struct {
	caddyhttp.ResponseWriterWrapper
	emit    *Emit
	request *http.Request
	body    *requestCopy // nil unless that is needed, and there is one

	mode     emitMode
	answered bool // the status is known
	returned bool // the handler, without a panic
	status   int
	// matches: the answer is an event, of whose data is the body of the answer if copies is set.
	matches, copies bool
	noMemory        bool
	eventType       string
	headerID        string
	encoding        string
	length          int64     // of the body, -1 if it is not announced
	copy            *emitCopy // nil unless there is one
	held            heldAnswer
}

// emitMode is what becomes of what the handler writes.
type emitMode int

const (
	emitPasses  emitMode = iota
	emitCopies           // it passes, and is copied
	emitHolds            // it waits
	emitRefused          // it is dropped: the client has been answered with 502
)

// emitWriters are those of answers that were no event.
var emitWriters = sync.Pool{New: func() any { return new(emitWriter) }}

func newEmitWriter(e *Emit, w http.ResponseWriter, r *http.Request) *emitWriter {
	t, _ := emitWriters.Get().(*emitWriter)
	t.ResponseWriter, t.emit, t.request = w, e, r
	if e.readsRequest && r.Method != http.MethodConnect {
		t.body = copyRequest(r, e.MaxSize)
	}
	if e.Strict {
		t.held.before = w.Header().Clone()
	}
	return t
}

// WriteHeader takes the status.
func (t *emitWriter) WriteHeader(status int) {
	if 100 <= status && status < 200 && status != http.StatusSwitchingProtocols {
		t.inform(status)
		return
	}
	if !t.answered {
		t.answer(status)
		t.held.explicit = true
	}
	if t.mode == emitPasses || t.mode == emitCopies {
		t.ResponseWriter.WriteHeader(status)
	}
}

// inform passes on what comes before the answer. Headers that are for us alone stay for that.
func (t *emitWriter) inform(status int) {
	h, name := t.Header(), t.emit.FromHeader
	eventType, id := h[name], h[name+emitIDSuffix]
	t.takeHeaders()
	t.ResponseWriter.WriteHeader(status)
	if name != "" && eventType != nil {
		h[name] = eventType
		if id != nil {
			h[name+emitIDSuffix] = id
		}
	}
}

// Write takes a part of the body. It leaves it to those behind it to write the head first, since
// they look at the body for that.
func (t *emitWriter) Write(p []byte) (int, error) {
	if !t.answered {
		t.answer(http.StatusOK)
	}
	switch t.mode {
	case emitHolds:
		return t.hold(p)
	case emitRefused:
		return 0, errAnswerRefused
	case emitCopies:
		n, err := t.ResponseWriter.Write(p)
		t.add(p)
		return n, err
	default:
		return t.ResponseWriter.Write(p)
	}
}

// ReadFrom takes a part of the body in the way that is quickest.
func (t *emitWriter) ReadFrom(src io.Reader) (int64, error) {
	if !t.answered {
		t.answer(http.StatusOK)
	}
	_, quick := t.ResponseWriter.(io.ReaderFrom)
	switch {
	case t.mode == emitPasses:
		return t.ResponseWriterWrapper.ReadFrom(src)
	case t.mode == emitCopies && quick:
		return t.ResponseWriterWrapper.ReadFrom(io.TeeReader(src, (*emitTee)(t)))
	default:
		return io.Copy(struct{ io.Writer }{t}, src)
	}
}

// emitTee copies what passes.
type emitTee emitWriter

func (t *emitTee) Write(p []byte) (int, error) {
	(*emitWriter)(t).add(p)
	return len(p), nil
}

// add copies a part of the body that has passed.
func (t *emitWriter) add(p []byte) {
	if t.mode == emitCopies && !t.copy.add(p) {
		t.mode = emitPasses
		t.giveUp(t.copy)
	}
}

// giveUp notes why there is no event: a body could not be copied.
func (t *emitWriter) giveUp(of *emitCopy) {
	t.matches = false
	if of.tooLarge {
		t.note(outcomeTooLarge, errBodyTooLarge)
		return
	}
	t.lose(of.why())
}

// lose notes that there is no event, for want of memory.
func (t *emitWriter) lose(err error) {
	t.matches, t.noMemory = false, true
	if t.emit.Strict {
		t.note(outcomeNotStored, err)
		return
	}
	t.note(outcomeDropped, err)
}

// FlushError flushes.
func (t *emitWriter) FlushError() error {
	if !t.answered && (t.emit.FromHeader != "" || t.emit.Strict) {
		t.answer(http.StatusOK) // the head may go out now
	}
	if t.mode == emitHolds {
		t.held.flush()
		return nil
	}
	return http.NewResponseController(t.ResponseWriter).Flush()
}

// Hijack gives the connection away, and the answer with it.
func (t *emitWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(t.ResponseWriter).Hijack()
	if err == nil {
		t.answered, t.matches, t.mode = true, false, emitPasses
	}
	return conn, buffered, err
}

// answer decides, once the status is known, what becomes of the answer.
func (t *emitWriter) answer(status int) {
	t.answered, t.status = true, status
	eventType, id := t.takeHeaders()
	e := t.emit
	if !e.on.has(status) || t.request.Method == http.MethodConnect {
		return
	}
	if e.FromHeader == "" {
		eventType = e.eventType
	}
	if eventType == "" {
		return
	}
	t.eventType, t.headerID = eventType, id
	if e.FromHeader != "" {
		if err := e.app.types.CheckType(eventType); err != nil {
			t.note(outcomeUnknownType, err)
			if e.Strict {
				t.refuse()
			}
			return
		}
	}
	t.matches = true
	h := t.Header()
	t.copies = e.ofResponse && t.request.Method != http.MethodHead && mayHaveBody(status)
	if t.copies {
		t.encoding = strings.Join(h["Content-Encoding"], ",")
		t.length = announced(h)
		t.copy = &emitCopy{max: e.MaxSize, likely: t.length, needed: e.Strict}
		if t.length > e.MaxSize {
			t.copy.tooLarge = true
			t.giveUp(t.copy)
			return
		}
		t.mode = emitCopies
	}
	if e.Strict {
		t.answerStrictly(h)
	}
}

// takeHeaders takes the headers out that are for us alone.
func (t *emitWriter) takeHeaders() (eventType, id string) {
	name := t.emit.FromHeader
	if name == "" {
		return "", ""
	}
	h := t.Header()
	names := &t.emit.ownHeaders
	if values := h[names[0]]; len(values) > 0 {
		eventType = values[0]
	}
	if values := h[names[1]]; len(values) > 0 {
		id = values[0]
	}
	for _, own := range names {
		delete(h, own)
	}
	return eventType, id
}

// mayHaveBody says whether an answer with the status has a body.
func mayHaveBody(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}

// announced is how long the header says that the body is; -1 if it does not.
func announced(h http.Header) int64 {
	length, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil {
		return -1
	}
	return length
}

var (
	errBodyTooLarge  = errors.New("its body is larger than max_size")
	errIncomplete    = errors.New("its body broke off, or was not read to its end")
	errStream        = errors.New("it is a stream, which does not wait: without strict, or with other data, it is one")
	errAnswerRefused = errors.New("the client was answered with 502, since the event could not be stored")
)

func (t *emitWriter) note(of outcome, err error) {
	gateway.note(of, t.eventType, "", err)
}

// end emits the event, when the handler has returned without a panic.
func (t *emitWriter) end(err error) error {
	t.returned = true
	if err == nil && !t.answered {
		t.answer(http.StatusOK) // which the server writes then
	}
	t.takeHeaders() // of trailers, or for those who handle the error
	t.finish(err == nil)
	if t.mode == emitRefused {
		return nil
	}
	return err
}

// ended is called when the handler is done, also by a panic, which goes on.
func (t *emitWriter) ended() {
	if !t.returned {
		if t.answered {
			t.finish(false)
		}
		if t.mode == emitRefused {
			p := recover()                             //nolint:revive // ServeHTTP defers this method
			if p != nil && p != http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
				panic(p)
			}
		}
	}
	t.copy.free()
	t.held.memory.free()
	if t.body != nil {
		t.request.Body = t.body.ReadCloser
		t.body.take().free()
	}
	if t.returned && !t.matches && t.body == nil && t.mode == emitPasses {
		*t = emitWriter{}
		emitWriters.Put(t)
	}
}

// finish emits the event. If all went well, all of the body has been written.
func (t *emitWriter) finish(well bool) {
	if !t.matches {
		return
	}
	if t.body != nil && !t.body.whole() {
		t.body.readRest(t.request)
	}
	if t.mode == emitCopies && !t.copy.done() {
		t.giveUp(t.copy)
		return
	}
	whole := t.emitsWhole(well)
	switch {
	case !whole:
		t.note(outcomeIncomplete, errIncomplete)
		if t.mode == emitHolds {
			t.release()
		}
	case t.mode == emitHolds:
		t.store()
	default:
		if g := t.makeEvent(); g != nil {
			gateway.add(g)
		}
	}
}

// emitsWhole says whether there is all that the event needs.
func (t *emitWriter) emitsWhole(well bool) bool {
	if t.body != nil && !t.body.whole() {
		return false
	}
	return well || !t.copies || t.length == int64(len(t.copy.bytes))
}

// makeEvent makes the event; nil if a body was too large, or there is no memory.
func (t *emitWriter) makeEvent() *gatewayEvent {
	e, now := t.emit, time.Now()
	g := &gatewayEvent{maxSize: e.MaxSize}
	v := emitValues{request: t.request, header: t.Header(), status: t.status}
	defer v.memory.free()
	if t.body != nil {
		of := t.body.take()
		defer of.free()
		if !of.done() {
			t.giveUp(of)
			return nil
		}
		body := of.bytes
		if e.ofRequest {
			g.encoding = t.body.encoding
			g.body, g.memory = of.take()
		}
		if !t.readBody(&v, body) {
			gateway.unreserve(g.memory)
			return nil
		}
	}
	switch {
	case t.copies && e.ofResponse:
		g.body, g.encoding = t.copy.bytes, t.encoding
		if t.mode == emitCopies {
			g.body, g.memory = t.copy.take()
		}
	case e.data != nil:
		g.body = []byte(e.data.fill(&v, true))
		if !gateway.reserve(int64(len(g.body))) {
			t.lose(errQueueFull)
			return nil
		}
		g.memory = int64(len(g.body))
	}
	g.tenant = e.tenant.fill(&v, false)
	id := t.headerID
	if e.ID != "" && id == "" {
		id = t.fillID(&v)
	}
	g.event = delivery.NewEvent{Type: t.eventType, OccurredAt: now.UTC().Truncate(time.Millisecond), ID: eventID(g.tenant, id, now)}
	return g
}

// fillID is the text of the id, or nothing if it lacks a placeholder's: what is left of it would be the
// same for many requests, and make one event of them. An id that is all empty was never meant.
func (t *emitWriter) fillID(v *emitValues) string {
	v.empty = ""
	id := t.emit.id.fill(v, false)
	if v.empty == "" || strings.TrimSpace(id) == "" {
		return id
	}
	gateway.noteID(t.eventType, v.empty)
	return ""
}

// readBody decodes the body of the request for placeholders, if there are any of it.
func (t *emitWriter) readBody(v *emitValues, body []byte) bool {
	e := t.emit
	if !e.data.readsRequest() && !e.id.readsRequest() && !e.tenant.readsRequest() {
		return true
	}
	decoded, err := decodeBody(body, t.body.encoding, e.MaxSize, v.memory.take)
	switch {
	case errors.Is(err, errQueueFull):
		t.lose(errQueueFull)
	case errors.Is(err, errDecodedTooLarge):
		t.note(outcomeTooLarge, err)
	case err != nil:
		t.note(outcomeInvalid, err)
	}
	v.body = decoded
	return err == nil
}

// Interface guards
var (
	_ http.ResponseWriter = (*emitWriter)(nil)
	_ io.ReaderFrom       = (*emitWriter)(nil)
	_ http.Pusher         = (*emitWriter)(nil)
	_ http.Hijacker       = (*emitWriter)(nil)
)
