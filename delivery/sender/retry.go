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
	// silent: the request timed out, and nothing came on the connection meanwhile. A
	// firewall or NAT on the way may have dropped it.
	silent bool
	again  again
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

// firstPause is how long the sender waits when an endpoint leaves a request
// unprocessed for the second time. The pause doubles each time.
const firstPause = 50 * time.Millisecond

// send tries until the endpoint has processed the request, within its timeout. All
// tries are one attempt. An endpoint that gets the event twice knows it by its id.
func (s *Sender) send(ctx context.Context, req *request) Response {
	// alone: on a new connection, which no other request can spoil.
	for alone, pause := false, time.Duration(0); ; {
		o := s.try(ctx, req, alone)
		switch {
		case o.again == never:
			return o.Response
		case o.again == lost:
			alone = true // so it cannot happen again
			continue
		case time.Until(req.deadline) <= pause:
			return failed("the endpoint kept refusing the request: it may be overloaded", o.Cause)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done(): // as the next try will find
		}
		alone = alone || pause > 0
		pause = max(firstPause, 2*pause)
	}
}
