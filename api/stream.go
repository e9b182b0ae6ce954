package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

const (
	// pingEvery keeps proxies from taking a stream on which nothing happens for dead.
	pingEvery = 15 * time.Second
	// writePatience is how long a client may take to make room for what it is sent.
	writePatience = 10 * time.Second
	// lastEventID is the parameter for clients that cannot set the header.
	lastEventID = "last_event_id"
)

var streamParameters = append([]string{"webhook_id", "event_id", "event_type", "status", lastEventID}, findParameters...)

// stream is a response that goes on: the requests of a tenant as they end, as events of
// an EventSource (https://html.spec.whatwg.org/multipage/server-sent-events.html). An
// event's id is the place in the log behind it.
type stream struct {
	follower delivery.Follower
	chosen   func(*delivery.Request) bool
	// It ends with any of these.
	serving, inForce context.Context
}

// followRequests handles GET /api/requests/stream.
func followRequests(ctx context.Context, c *call) (response, error) {
	filter, none, err := filterOf(c.query)
	if err != nil {
		return response{}, err
	}
	// Whoever comes back sends the header, beside the parameter it began with.
	after := cmp.Or(c.header.Get("Last-Event-ID"), c.query.Get(lastEventID))
	follower, err := c.api.Engine.Follow(ctx, c.Tenant, after)
	if err != nil {
		return response{}, err
	}
	return response{other: &stream{
		follower: follower,
		chosen:   func(r *delivery.Request) bool { return !none && filter.Matches(r) },
		serving:  c.Serving, inForce: c.api.InForce,
	}}, nil
}

// ServeHTTP sends the stream until the client goes away, or the configuration.
func (s *stream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer s.follower.Close()
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no")
	if r.ProtoMajor == 1 {
		header.Set("Connection", "close") // its deadlines are the stream's
	}
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	notServing := context.AfterFunc(s.serving, cancel)
	defer notServing()
	notInForce := context.AfterFunc(s.inForce, cancel)
	defer notInForce()
	out := newStreamWriter(ctx, w, writePatience)
	defer out.close()
	s.run(ctx, out)
}

func (s *stream) run(ctx context.Context, out *streamWriter) {
	out.event("start", s.follower.Position())
	ping := time.Now().Add(pingEvery)
	for out.flush() {
		wait, cancel := context.WithDeadline(ctx, ping)
		rows, err := s.follower.Next(wait)
		cancel()
		switch {
		case errors.Is(err, delivery.ErrLostPlace):
			out.event("reset", s.follower.Position())
		case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		case err != nil:
			return
		}
		for i := range rows {
			if s.chosen(&rows[i].Request) && !out.row(&rows[i]) {
				return
			}
		}
		if !time.Now().Before(ping) {
			out.ping(s.follower.Position())
			ping = time.Now().Add(pingEvery)
		}
	}
}
