package delivery

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/expression"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// turnPatience is how long a transform waits for its turn while others of the tenant are
// evaluated. It is less than startMargin, by which a request begins before its lease ends.
const turnPatience = time.Second

// body is what is sent of an event to a webhook.
func (e *Engine) body(w *Webhook, ev *Event) ([]byte, error) {
	if w.Transform == "" {
		return ev.Payload, nil
	}
	patience, cancel := context.WithTimeout(context.Background(), turnPatience)
	defer cancel()
	if leave, err := e.expressions.turns.wait(patience, w.Tenant); err == nil {
		defer leave()
	}
	program, err := e.expressions.programs.Compile(expression.Transform, w.Transform)
	if err != nil {
		return nil, err
	}
	return program.JSON(context.Background(), ev.Input())
}

// exchange makes the body of a request, and the request. Without a body it makes none: nil then.
func (e *Engine) exchange(ctx context.Context, a *active, p *prepared, w *Webhook, ev *Event, at time.Time) ([]byte, sender.Response) {
	body, err := e.body(w, ev)
	if err != nil {
		return nil, sender.Response{Failure: "The transform of the webhook could not be evaluated for this event: " + withoutData(w.Transform, err.Error()) + "."}
	}
	if w.Transform != "" {
		sent := *ev
		sent.Payload = body
		ev = &sent
	}
	e.sending.Add(1)
	response := p.send(ctx, a.sender, p.message(&a.settings, ev, at))
	e.sending.Add(-1)
	return body, response
}

// transformed notes what was sent in place of the payload: nil if nothing was.
func (r *Request) transformed(body []byte) {
	r.Transformed = true
	if body == nil {
		r.Headers = RequestHeaders{}
	}
	r.ResponseBody = joinBodies(body, r.ResponseBody)
}

// unsent says that nothing was sent. Rows of lists have no bodies: theirs tell it by their headers.
func (r *Request) unsent() bool {
	return r.Transformed && (strings.HasPrefix(r.ResponseBody, noBody) || r.ResponseBody == "" && r.Headers == (RequestHeaders{}))
}

// noBody begins what stores keep of a request that had no body.
const noBody = "-:"

// joinBodies makes one text of both bodies, which stores keep as if it were the response's: so
// they are encrypted, and removed, together.
func joinBodies(request []byte, response string) string {
	if request == nil {
		return noBody + response
	}
	return strconv.Itoa(len(request)) + ":" + string(request) + response
}

// splitBodies undoes joinBodies for a row that was read with its bodies. The request's is nil once
// the event has gone, as that of other requests is.
func (r *Request) splitBodies() {
	if !r.Transformed {
		return
	}
	gone := r.RequestBody == nil
	r.RequestBody = nil
	length, rest, _ := strings.Cut(r.ResponseBody, ":")
	r.ResponseBody = rest
	n, err := strconv.Atoi(length)
	if err != nil || n < 0 || n > len(rest) {
		return
	}
	r.ResponseBody = rest[n:]
	if !gone {
		r.RequestBody = []byte(rest[:n])
	}
}
