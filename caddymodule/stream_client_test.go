package caddymodule_test

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/internal/openapitest"
)

// eventStream is a client of GET api/requests/stream, which does what an EventSource
// does.
type eventStream struct {
	t      *testing.T
	header http.Header
	last   string // the id of the last event
	// compressed says that the server compressed it.
	compressed bool
	version    int // of HTTP

	events chan streamEvent // closed when the stream has ended
	err    error            // read it after events has been closed: io.EOF for a clean end
	cancel context.CancelFunc
}

type streamEvent struct {
	name, id, data string
	comment        bool
}

// follow opens a stream. Headers are pairs.
func (s *caddySite) follow(query string, headers ...string) *eventStream {
	s.t.Helper()
	e, err := s.tryFollow(query, headers...)
	if err != nil {
		s.t.Fatal(err)
	}
	return e
}

// tryFollow opens a stream, and tries again while nobody answers.
func (s *caddySite) tryFollow(query string, headers ...string) (*eventStream, error) {
	e := &eventStream{t: s.t, events: make(chan streamEvent, 100_000)}
	var ctx context.Context
	ctx, e.cancel = context.WithCancel(s.t.Context())
	s.t.Cleanup(e.cancel)
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr+"/hooks/api/requests/stream"+query, nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", asAdmin)
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		res, err := cmp.Or(s.streams, http.DefaultClient).Do(req)
		switch {
		case unanswered(err):
			continue
		case err != nil:
			return nil, err
		case res.StatusCode != http.StatusOK:
			res.Body.Close()
			return nil, fmt.Errorf("the stream is answered %d", res.StatusCode)
		}
		e.header, e.compressed, e.version = res.Header, res.Uncompressed, res.ProtoMajor
		go e.read(res.Body)
		return e, nil
	}
}

func (e *eventStream) read(body io.ReadCloser) {
	defer close(e.events)
	defer body.Close()
	for r := bufio.NewReader(body); ; {
		raw, err := openapitest.ReadEvent(r)
		if err != nil {
			e.err = err
			return
		}
		var event streamEvent
		for line := range strings.Lines(string(raw)) {
			line = strings.TrimSuffix(line, "\n")
			name, value, _ := strings.Cut(line, ": ")
			switch name {
			case "event":
				event.name = value
			case "id":
				event.id = value
			case "data":
				event.data += value
			case "":
				event.comment = event.comment || line == ": ping"
			default:
				e.err = &json.SyntaxError{}
				return
			}
		}
		e.events <- event
	}
}

// next waits for the next event that is more than a ping.
func (e *eventStream) next() streamEvent {
	e.t.Helper()
	for deadline := time.After(patience); ; {
		select {
		case event, ok := <-e.events:
			if !ok {
				e.t.Fatalf("the stream has ended: %v", e.err)
			}
			e.last = cmp.Or(event.id, e.last)
			if !event.comment {
				return event
			}
		case <-deadline:
			e.t.Fatal("waited in vain for an event")
		}
	}
}

// none fails the test if more than pings has come that nobody has taken. A busy machine may
// take so long that there are pings.
func (e *eventStream) none(what string) {
	e.t.Helper()
	for range len(e.events) {
		if event := <-e.events; !event.comment {
			e.t.Errorf("%s gives the event %+v too many", what, event)
		}
	}
}

// wantEvent fails the test unless the next event is of this name.
func (e *eventStream) wantEvent(name string) streamEvent {
	e.t.Helper()
	event := e.next()
	if event.name != name || event.id == "" || event.data != "{}" {
		e.t.Fatalf("got the event %+v, want %s", event, name)
	}
	return event
}

// row waits for the next request.
func (e *eventStream) row() (r request) {
	e.t.Helper()
	event := e.next()
	if event.name != "" || event.id == "" {
		e.t.Fatalf("got the event %+v, want a request", event)
	}
	if err := json.Unmarshal([]byte(event.data), &r); err != nil {
		e.t.Fatal(err)
	}
	o, err := openapitest.Standard()
	if err == nil {
		err = o.CheckJSON("/components/schemas/RequestRow", []byte(event.data))
	}
	if err != nil {
		e.t.Error(err)
	}
	return r
}

// wantEnd waits for the clean end of the stream, and fails the test if there is more than
// pings before.
func (e *eventStream) wantEnd() {
	e.t.Helper()
	for deadline, ended := time.After(patience), false; !ended; {
		select {
		case event, ok := <-e.events:
			if ended = !ok; ok && !event.comment {
				e.t.Fatalf("got the event %+v, want the end", event)
			}
		case <-deadline:
			e.t.Fatal("the stream does not end")
		}
	}
	if e.err != io.EOF { //nolint:errorlint // a body that breaks off is another one
		e.t.Errorf("the stream ended with %v", e.err)
	}
}
