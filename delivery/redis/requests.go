package redis

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// deliveriesPerScript is how many deliveries one script looks for: each may take some tenths of a
// millisecond, if its row was lost.
const deliveriesPerScript = 10

// Request reads one row of the log, bodies included.
func (s *Store) Request(ctx context.Context, tenant string, id uuid.UUID) (*delivery.Request, error) {
	p, err := s.at(tenant)
	if err != nil {
		return nil, err
	}
	reply, err := s.run(ctx, requestScript, p.base, tenant, id[:])
	if err != nil {
		return nil, err
	}
	if len(reply) == 1 {
		return nil, delivery.ErrNotFound
	}
	if len(reply) != 4 {
		return nil, errUnknownReply
	}
	row, _ := reply[1].(string)
	body, _ := reply[2].(string)
	event, _ := reply[3].(string)
	r, err := decodeRequest(tenant, id, row)
	if err != nil {
		s.setAside(ctx, p.base, unreadableRow(p.base, id, row, err)...)
		return nil, delivery.ErrNotFound
	}
	r.ResponseBody = body
	if err := s.encryption.DecryptBody(&r); errors.Is(err, record.ErrUnreadable) {
		r.ResponseBody = ""
	} else if err != nil {
		return nil, err
	}
	if event == "" {
		return &r, nil
	}
	e, err := decodeEvent(tenant, r.EventID, event)
	if err == nil {
		err = s.encryption.DecryptEvent(&e.Event)
	}
	switch {
	case encryption.IsMissingKey(err):
		return nil, err
	case err != nil:
		s.setAside(ctx, p.base, unreadableEvent(p.base, tenant, r.EventID, event, err)...)
	case e.SentBy(&r):
		if r.RequestBody = e.Payload; e.Erased {
			r.ResponseBody = ""
		}
	}
	return &r, nil
}

// Requests reads a page of the log.
func (s *Store) Requests(ctx context.Context, tenant string, filter delivery.RequestFilter) (delivery.RequestPage, error) {
	p, err := s.at(tenant)
	if err != nil {
		return delivery.RequestPage{}, err
	}
	filter.Limit = min(max(1, filter.Limit), delivery.MaxPage)
	filter.Narrow()
	first, before, ok := filter.Bounds()
	if !ok {
		return delivery.RequestPage{}, nil
	}
	if filter.EventID != uuid.Nil {
		return s.requestsOfEvent(ctx, p, tenant, &filter)
	}
	q := pageQuery{store: s, partition: p, tenant: tenant, log: tenant, filter: &filter, first: first, before: before}
	if filter.WebhookID != uuid.Nil {
		q.log = refText(delivery.WebhookRef{Tenant: tenant, ID: filter.WebhookID})
	}
	err = q.run(ctx)
	return q.page, err
}

// decodeRows decodes pairs of an id and a row. It leaves out those that cannot be read.
func (s *Store) decodeRows(ctx context.Context, p *partition, tenant string, reply []any) ([]delivery.Request, error) {
	rows := make([]delivery.Request, 0, len(reply)/2)
	var bad []unreadable
	for ; len(reply) >= 2; reply = reply[2:] {
		raw, _ := reply[0].(string)
		row, _ := reply[1].(string)
		id, err := uuid.FromBytes([]byte(raw))
		if err != nil {
			return nil, errUnknownReply
		}
		r, err := decodeRequest(tenant, id, row)
		if err != nil {
			bad = append(bad, unreadableRow(p.base, id, row, err)...)
			continue
		}
		rows = append(rows, r)
	}
	s.setAside(ctx, p.base, bad...)
	return rows, nil
}

// unreadableRow is a row of which only the script that sets it aside finds out which key has it.
func unreadableRow(base string, id uuid.UUID, row string, err error) []unreadable {
	bad := unreadable{key: requestsKey(base, id), field: string(id[:]), value: row, why: err.Error()}
	old := bad
	old.key = oldRequestsKey(base, id)
	return []unreadable{bad, old}
}

// requestsOfEvent finds the rows of an event through its deliveries: three
// round trips, and one more for every few deliveries.
func (s *Store) requestsOfEvent(ctx context.Context, p *partition, tenant string, f *delivery.RequestFilter) (delivery.RequestPage, error) {
	e, err := s.storedEvent(ctx, p.base, tenant, f.EventID)
	if errors.Is(err, delivery.ErrNotFound) {
		return delivery.RequestPage{}, nil
	}
	if err != nil {
		return delivery.RequestPage{}, err
	}
	if f.EventType != "" && f.EventType != e.Type {
		return delivery.RequestPage{}, nil
	}
	ids, err := s.requestIDs(ctx, p, e, f)
	if err != nil {
		return delivery.RequestPage{}, err
	}
	wanted := *f
	if f.LooksInto() {
		wanted.Limit = delivery.MaxLook
	}
	ids, next := wanted.Newest(ids)
	q := pageQuery{filter: f}
	for some := range slices.Chunk(ids, delivery.MaxPage) {
		rows, err := s.rows(ctx, p, tenant, some)
		if err != nil || q.add(rows) {
			return q.page, err
		}
	}
	q.page.Next = next
	return q.page, nil
}

// rows reads rows by their ids, in their order, without those that are gone.
func (s *Store) rows(ctx context.Context, p *partition, tenant string, ids []uuid.UUID) ([]delivery.Request, error) {
	args := make([]any, 0, 1+len(ids))
	args = append(args, tenant)
	for i := range ids {
		args = append(args, ids[i][:])
	}
	reply, err := s.run(ctx, rowsScript, p.base, args...)
	if err != nil {
		return nil, err
	}
	return s.decodeRows(ctx, p, tenant, reply[1:])
}

// requestIDs finds the ids of an event's requests, with the webhook and the status that the
// filter asks for.
func (s *Store) requestIDs(ctx context.Context, p *partition, e *storedEvent, f *delivery.RequestFilter) ([]uuid.UUID, error) {
	webhooks := e.targets
	if f.WebhookID != uuid.Nil {
		if !slices.Contains(webhooks, f.WebhookID) {
			return nil, nil
		}
		webhooks = []uuid.UUID{f.WebhookID}
	}
	var ids []uuid.UUID
	goOn, most := any(""), any(delivery.MaxRequestsOfDelivery)
	for len(webhooks) > 0 {
		targets := webhooks[:min(len(webhooks), deliveriesPerScript)]
		reply, err := s.run(ctx, eventRequestsScript, p.base, e.args(targets, most, delivery.MaxRequestsOfDelivery, s.work, goOn)...)
		if err != nil {
			return nil, err
		}
		if len(reply) < 4 {
			return nil, errUnknownReply
		}
		done, _ := reply[1].(int64)
		if done < 0 || int(done) > len(targets) || done == 0 && reply[2] == "" {
			return nil, errUnknownReply
		}
		webhooks, goOn, most = webhooks[done:], reply[2], reply[3]
		for r := reply[4:]; len(r) >= 2; r = r[2:] {
			raw, _ := r[0].(string)
			status, _ := r[1].(string)
			id, err := uuid.FromBytes([]byte(raw))
			if err != nil {
				return nil, errUnknownReply
			}
			if f.Status == "" || status == string(statusByte(f.Status)) {
				ids = append(ids, id)
			}
		}
	}
	return ids, nil
}
