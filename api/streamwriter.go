package api

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// endPatience is how long a client may take to read the rest of a stream that ends: the
// end of the configuration waits for it.
const endPatience = 500 * time.Millisecond

// streamWriter writes a stream, piece by piece, to a client that may not read it.
type streamWriter struct {
	buffer bytes.Buffer // the next piece
	last   string       // the place that the client was told last

	w        http.ResponseWriter
	patience time.Duration
	ctx      context.Context
	close    func() // must be called once nothing more is written
}

// newStreamWriter makes a writer to a client that may take so long to make room for a
// piece. Once the context has ended, there is less time for all that is left.
func newStreamWriter(ctx context.Context, w http.ResponseWriter, patience time.Duration) *streamWriter {
	s := &streamWriter{w: w, patience: patience, ctx: ctx}
	closed := make(chan struct{})
	var hurrying sync.WaitGroup
	hurrying.Add(1)
	stop := context.AfterFunc(ctx, func() {
		defer hurrying.Done()
		hurry(w, closed)
	})
	s.close = func() {
		close(closed)
		if !stop() {
			hurrying.Wait()
		}
	}
	return s
}

// hurry has what is being written fail soon, until nothing is. It goes past Caddy's
// writers, which set deadlines of their own before each piece and are not for several
// goroutines.
func hurry(w http.ResponseWriter, closed <-chan struct{}) {
	control := http.NewResponseController(innermost(w))
	end := time.Now().Add(endPatience)
	ticker := time.NewTicker(endPatience / 10)
	defer ticker.Stop()
	for {
		_ = control.SetWriteDeadline(end)
		select {
		case <-closed:
			return
		case <-ticker.C:
		}
	}
}

// innermost is the server's own writer.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = wrapper.Unwrap()
	}
}

// event adds an event that is no request.
func (s *streamWriter) event(name, position string) {
	s.buffer.WriteString("event: " + name + "\n")
	s.position(position)
	s.buffer.WriteString("data: {}\n\n")
}

// row adds a request.
func (s *streamWriter) row(r *delivery.Written) bool {
	encoded, err := json.Marshal(newRequest(&r.Request)) // one line
	if err != nil {
		return false
	}
	s.position(r.Position)
	s.buffer.WriteString("data: ")
	s.buffer.Write(encoded)
	s.buffer.WriteString("\n\n")
	return true
}

// ping adds a comment; and, if requests were passed over that the client did not choose,
// the place behind them, which makes no event.
func (s *streamWriter) ping(position string) {
	if position != s.last {
		s.position(position)
	}
	s.buffer.WriteString(": ping\n\n")
}

func (s *streamWriter) position(position string) {
	s.last = position
	s.buffer.WriteString("id: " + position + "\n")
}

// flush sends the piece, if there is any; false if the client cannot be reached.
func (s *streamWriter) flush() bool {
	if s.buffer.Len() == 0 {
		return true
	}
	patience := s.patience
	if s.ctx.Err() != nil {
		patience = min(patience, endPatience)
	}
	control := http.NewResponseController(s.w)
	_ = control.SetWriteDeadline(time.Now().Add(patience)) // not every writer can
	if _, err := s.buffer.WriteTo(s.w); err != nil {
		return false
	}
	return control.Flush() == nil
}
