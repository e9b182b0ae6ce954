package caddymodule

import (
	"maps"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

// heldAnswer is an answer that waits for its event to be stored. Its body is in the copy.
type heldAnswer struct {
	before   http.Header // as it was when the next handler was called
	head     http.Header // as it was when the handler gave the status
	explicit bool        // the handler gave the status, and not only a body
	steps    []int       // lengths of what was written, and flushed for a flush
	memory   emitMemory  // of head and steps
}

const (
	flushed = -1
	// maxSteps is how many steps of a handler are told apart.
	maxSteps = 4096
	// moreSteps is how many there is room for at first, and stepWeight the bytes of one.
	moreSteps  = 8
	stepWeight = 8
)

// keep keeps the head. It returns false if there is no memory.
func (h *heldAnswer) keep(head http.Header) bool {
	var bytes int64
	for name, values := range head {
		bytes += int64(len(name))
		for _, value := range values {
			bytes += int64(len(value))
		}
	}
	if !h.memory.take(bytes) {
		return false
	}
	h.head = head.Clone()
	return true
}

// wrote notes a write. It returns false if there is no memory.
func (h *heldAnswer) wrote(n int) bool {
	if last := len(h.steps) - 1; last+1 >= maxSteps && h.steps[last] != flushed {
		h.steps[last] += n
		return true
	}
	return h.note(n)
}

// flush notes a flush, unless there were too many steps, or there is no memory.
func (h *heldAnswer) flush() {
	if len(h.steps) < maxSteps {
		h.note(flushed)
	}
}

func (h *heldAnswer) note(step int) bool {
	if len(h.steps) == cap(h.steps) {
		more := max(moreSteps, len(h.steps))
		if !h.memory.take(int64(more) * stepWeight) {
			return false
		}
		h.steps = append(make([]int, 0, len(h.steps)+more), h.steps...)
	}
	h.steps = append(h.steps, step)
	return true
}

// answerStrictly has an answer wait for its event: until the handler has ended, if it takes the
// whole body of the answer or the rest of the request, and else only now.
func (t *emitWriter) answerStrictly(h http.Header) {
	switch {
	case t.copies && isStream(h):
		t.mode, t.matches = emitPasses, false
		t.note(outcomeStream, errStream)
	case t.copies || t.body != nil && !t.body.whole():
		if !t.copies {
			t.copy = &emitCopy{max: t.emit.MaxSize, likely: announced(h), needed: true}
		}
		if !t.held.keep(h) {
			t.lose(errQueueFull)
			t.refuse()
			return
		}
		t.mode = emitHolds
	default:
		t.store()
	}
}

// isStream says whether an answer goes on for as long as it likes.
func isStream(h http.Header) bool {
	kind := strings.ToLower(h.Get("Content-Type"))
	return strings.HasPrefix(kind, "text/event-stream") || strings.HasPrefix(kind, "application/grpc") || caddyhttp.IsIncremental(h)
}

// hold keeps a part of the body until the event is stored.
func (t *emitWriter) hold(p []byte) (int, error) {
	if !t.copy.keep(p) {
		return t.overflow(p)
	}
	if !t.held.wrote(len(p)) {
		t.lose(errQueueFull)
		t.refuse()
		return 0, errAnswerRefused
	}
	return len(p), nil
}

// overflow goes on with an answer that is too large to wait. If it is no part of the event,
// this may be stored now.
func (t *emitWriter) overflow(p []byte) (int, error) {
	switch {
	case t.copies && t.copy.failed:
		t.giveUp(t.copy)
		t.refuse()
	case t.copies:
		t.giveUp(t.copy)
		t.release()
	case t.body.whole():
		t.store()
	default:
		t.matches = false
		t.note(outcomeIncomplete, errIncomplete)
		t.release()
	}
	return t.Write(p)
}

// store stores the event while the client waits, and lets the answer go.
func (t *emitWriter) store() {
	g := t.makeEvent()
	switch {
	case g != nil:
		if err := gateway.emitNow(t.request.Context(), t.emit.app, g); err != nil {
			t.refuse()
			return
		}
	case t.noMemory:
		t.refuse()
		return
	}
	t.matches = false
	t.release()
}

// release lets an answer go that has waited, in the steps in which it came.
func (t *emitWriter) release() {
	holds := t.mode == emitHolds
	t.mode = emitPasses
	if !holds {
		return
	}
	h := t.Header()
	after := maps.Clone(h) // trailers may have come
	clear(h)
	maps.Copy(h, t.held.head)
	if t.held.explicit {
		t.ResponseWriter.WriteHeader(t.status)
	}
	body := t.copy.bytes
	for _, n := range t.held.steps {
		if n == flushed {
			_ = http.NewResponseController(t.ResponseWriter).Flush()
			continue
		}
		_, _ = t.ResponseWriter.Write(body[:n]) // a client that has gone is noticed by the server
		body = body[n:]
	}
	t.copy.free()
	t.held.memory.free()
	clear(h)
	maps.Copy(h, after)
}

// refuse answers the client in place of the application.
func (t *emitWriter) refuse() {
	t.mode, t.matches = emitRefused, false
	t.copy.free()
	t.held.memory.free()
	h := t.Header()
	clear(h)
	maps.Copy(h, t.held.before)
	_ = api.NotStored(t.ResponseWriter, "The request was carried out, but its event could not be stored, which was to come first. Repeat the request only if that does no harm.")
}
