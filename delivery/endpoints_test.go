package delivery_test

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// responder answers requests as an endpoint does.
type responder = func(context.Context, sender.Message) sender.Response

// endpoints is a Sender whose answers the test decides.
type endpoints struct {
	mu       sync.Mutex
	respond  responder
	sent     []sent
	inFlight map[string]int
	most     map[string]int // requests in flight at a time, by URL
}

type sent struct {
	url string
	at  time.Time
}

func newEndpoints(respond responder) *endpoints {
	return &endpoints{respond: respond, inFlight: make(map[string]int), most: make(map[string]int)}
}

func (e *endpoints) Send(ctx context.Context, m sender.Message) sender.Response {
	e.mu.Lock()
	e.sent = append(e.sent, sent{m.URL, time.Now()})
	e.inFlight[m.URL]++
	e.most[m.URL] = max(e.most[m.URL], e.inFlight[m.URL])
	respond := e.respond
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.inFlight[m.URL]--
		e.mu.Unlock()
	}()
	return respond(ctx, m)
}

func (e *endpoints) Close() {}

func (e *endpoints) answerWith(respond responder) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.respond = respond
}

// count is how many requests were sent.
func (e *endpoints) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.sent)
}

// atMost is how many requests to a URL were in flight at a time since the last call.
func (e *endpoints) atMost(url string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	most := e.most[url]
	e.most[url] = 0
	return most
}

// to lists when requests were sent to a URL.
func (e *endpoints) to(url string) (at []time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.sent {
		if s.url == url {
			at = append(at, s.at)
		}
	}
	return at
}

func ok(context.Context, sender.Message) sender.Response {
	return sender.Response{StatusCode: 200}
}

func status(code int) responder {
	return func(context.Context, sender.Message) sender.Response {
		return sender.Response{StatusCode: code}
	}
}

// everyNth answers one of n requests with 200, and the others with 500.
func everyNth(n int) responder {
	var count atomic.Int64
	return func(ctx context.Context, m sender.Message) sender.Response {
		if count.Add(1)%int64(n) == 0 {
			return ok(ctx, m)
		}
		return status(500)(ctx, m)
	}
}

// hang is an endpoint that does not answer.
func hang(ctx context.Context, m sender.Message) sender.Response {
	select {
	case <-time.After(m.Timeout):
	case <-ctx.Done():
	}
	return sender.Response{Failure: "no complete response", TimedOut: ctx.Err() == nil}
}

// after answers 200 when d has passed.
func after(d time.Duration) responder {
	return func(ctx context.Context, _ sender.Message) sender.Response {
		select {
		case <-time.After(d):
			return sender.Response{StatusCode: 200}
		case <-ctx.Done():
			return sender.Response{Failure: "broken off"}
		}
	}
}
