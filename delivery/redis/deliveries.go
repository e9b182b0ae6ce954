package redis

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

var (
	standingScript = loadScript("standing")
	untriedScript  = loadScript("untried")
)

// standingPerScript is of how many requests one script says whether they are the last ones.
const standingPerScript = 200

// Standing says how the deliveries stand whose last requests are among some rows.
func (s *Store) Standing(ctx context.Context, tenant string, rows []delivery.Request) ([]delivery.Delivery, error) {
	p, err := s.at(tenant)
	if err != nil {
		return nil, err
	}
	all := make([]delivery.Delivery, 0, len(rows))
	for some := range slices.Chunk(rows, standingPerScript) {
		args := make([]any, 0, 1+4*len(some))
		args = append(args, tenant)
		for i := range some {
			r := &some[i]
			args = append(args, r.EventID[:], r.WebhookID[:], r.ID[:], boolDigit(isFirstRequest(r)))
		}
		reply, err := s.run(ctx, standingScript, p.base, args...)
		if err != nil {
			return nil, err
		}
		if len(reply) != 1+len(some) {
			return nil, errUnknownReply
		}
		for i := range some {
			stored, _ := reply[1+i].(string)
			if stored == "" {
				all = append(all, delivery.Delivery{})
				continue
			}
			d, err := record.DecodeDelivery([]byte(stored))
			if err != nil {
				return nil, errUnknownReply // the script leaves out what it cannot read
			}
			all = append(all, d.Attempted(some[i].WebhookID))
		}
	}
	return all, nil
}

// isFirstRequest reports whether a row can be that of a delivery that succeeded at once, and has
// no state.
func isFirstRequest(r *delivery.Request) bool {
	first := firstRequest(delivery.WebhookRef{Tenant: r.Tenant, ID: r.WebhookID}, r.EventID, false)
	return r.Status == delivery.RequestSuccess && r.Attempt == 1 && bytes.Equal(r.ID[6:], first)
}

func boolDigit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// Untried reads deliveries of a webhook that have not been attempted.
func (s *Store) Untried(ctx context.Context, ref delivery.WebhookRef, after string) (delivery.UntriedPage, error) {
	var page delivery.UntriedPage
	p, err := s.at(ref.Tenant)
	if err != nil {
		return page, err
	}
	kind, time, event := "", uint64(0), ""
	if len(after) == 1+8+len(uuid.UUID{}) {
		kind, time, event = after[:1], binary.BigEndian.Uint64([]byte(after[1:])), after[9:]
	}
	reply, err := s.run(ctx, untriedScript, p.base, refText(ref), ref.ID[:], s.work, kind, time, event)
	if err != nil {
		return page, err
	}
	if len(reply)%4 != 0 {
		return page, errUnknownReply
	}
	if page.Next, err = untriedPlace(reply[1:4]); err != nil {
		return page, err
	}
	var bad []unreadable
	for r := reply[4:]; len(r) > 0; r = r[4:] {
		place, err := untriedPlace(r)
		if err != nil || place == "" {
			return page, errUnknownReply
		}
		id := uuid.UUID([]byte(place[9:]))
		stored, _ := r[3].(string)
		e, err := decodeEvent(ref.Tenant, id, stored)
		if err != nil {
			bad = append(bad, unreadableEvent(p.base, ref.Tenant, id, stored, err)...)
			continue
		}
		page.Deliveries = append(page.Deliveries, delivery.Untried{EventID: id, EventType: e.Type, ReceivedAt: e.ReceivedAt, Place: place, Waits: isWaiting(r[1])})
	}
	s.setAside(ctx, p.base, bad...)
	return page, nil
}

// untriedPlace is the place that untried.lua tells, "" for none.
func untriedPlace(told []any) (string, error) {
	kind, _ := told[0].(string)
	time, _ := told[1].(int64)
	event, _ := told[2].(string)
	if kind == "" {
		return "", nil
	}
	if len(kind) != 1 || len(event) != len(uuid.UUID{}) {
		return "", errUnknownReply
	}
	return string(append(binary.BigEndian.AppendUint64([]byte(kind), uint64(time)), event...)), nil
}
