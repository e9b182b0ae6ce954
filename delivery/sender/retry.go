package sender

import (
	"context"
	"time"
)

// outcome is what came of one try of a request.
type outcome struct {
	Response
	// keepFor is how long the connection may be idle before its next request. If it
	// is 0, the connection gets no other.
	keepFor time.Duration
	again   again
}

// again says whether, and why, a request that failed is sent again at once.
type again int

const (
	never again = iota
	// lost: the connection had been used before, and ended before any of the response
	// came. Endpoints close idle connections, and a request may be on its way then.
	lost
	// unprocessed: the endpoint said that it did nothing about the request.
	unprocessed
)

// send tries once, or twice if the first try may have failed for the sake of its
// connection alone. Both are one attempt. An endpoint that gets the event twice knows
// it by its id.
func (s *Sender) send(ctx context.Context, req *request) Response {
	o := s.try(ctx, req, false)
	if o.again != never {
		o = s.try(ctx, req, o.again == lost)
	}
	return o.Response
}
