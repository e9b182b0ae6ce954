package redis

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

var takeStartScript = loadScript("take_start")

// limitedMark is in the state of a webhook that has a rate, before slowMark.
const limitedMark = "r"

// webhookRate is the rate of a webhook as in Redis, without the next start; none if it has none.
func webhookRate(w *delivery.Webhook) []byte {
	if w.RateLimit == nil {
		return []byte{}
	}
	rate := binary.BigEndian.AppendUint64(nil, 0)
	rate = binary.BigEndian.AppendUint32(rate, uint32(w.RateLimit.Requests))
	return binary.BigEndian.AppendUint64(rate, uint64(w.RateLimit.Per.Microseconds()))
}

// TakeStart takes the next start of a webhook with a RateLimit.
func (s *Store) TakeStart(ctx context.Context, ref delivery.WebhookRef, free bool) (time.Duration, error) {
	p, err := s.at(ref.Tenant)
	if err != nil {
		return 0, err
	}
	reply, err := s.run(ctx, takeStartScript, p.base, refText(ref), free)
	if err != nil {
		return 0, err
	}
	if len(reply) != 2 {
		return 0, errUnknownReply
	}
	in, ok := reply[1].(int64)
	switch {
	case !ok:
		return 0, errUnknownReply
	case in < 0:
		return 0, delivery.ErrNotFound
	}
	return time.Duration(in) * time.Microsecond, nil
}

// firstStart is in how long the first of some deliveries may begin.
type firstStart time.Duration

// readKind reads what claim.lua says of a webhook beside its deliveries.
func readKind(reply any) (slow int64, first firstStart) {
	if limited, ok := reply.([]any); ok && len(limited) == 2 {
		in, _ := limited[1].(int64)
		first, reply = firstStart(time.Duration(in)*time.Microsecond), limited[0]
	}
	slow, _ = reply.(int64)
	return slow, first
}

// of is in how long the n-th delivery behind the first one may begin.
func (first firstStart) of(w *delivery.Webhook, n int) time.Duration {
	if w.RateLimit == nil {
		return 0
	}
	return time.Duration(first) + time.Duration(w.RateLimit.Span(n))*time.Microsecond
}
