package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

var _ delivery.Copyable = (*Store)(nil)

// Exists reports whether the store's file exists.
func (s *Store) Exists(context.Context) (bool, error) {
	_, err := os.Stat(filepath.Join(s.folder, fileName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Export reads everything. Each batch has its own transaction.
func (s *Store) Export(ctx context.Context) iter.Seq2[*delivery.Batch, error] {
	return func(yield func(*delivery.Batch, error) bool) {
		e := export{Store: s, tenants: s.tenantNames()}
		for _, kind := range []struct {
			bucket []byte
			add    func(b *delivery.Batch, tx *view, k, v []byte)
		}{
			{webhooksBucket, e.webhook},
			{eventsBucket, e.event},
			{requestsBucket, e.request},
			{auditBucket, e.audit},
		} {
			for next := []byte{}; next != nil; {
				batch := new(delivery.Batch)
				err := ctx.Err()
				if err == nil {
					err = s.inSteps(func(tx *view, left *int) (more bool, err error) {
						if !tx.has(kind.bucket) {
							next = nil
							return false, nil
						}
						c := tx.bucket(kind.bucket).cursor()
						k, v := c.Seek(next)
						for ; k != nil && !batch.Full() && *left > 0; k, v = c.Next() {
							kind.add(batch, tx, k, v)
							*left -= 2
							if n := len(batch.Events); n > 0 {
								*left -= len(batch.Events[n-1].Deliveries)
							}
						}
						next = slices.Clone(k)
						return false, e.missing
					})
				}
				if err != nil {
					yield(nil, err)
					return
				}
				if batch.Len() > 0 && !yield(batch, nil) {
					return
				}
			}
		}
	}
}

// export is one Export.
type export struct {
	*Store
	tenants map[uint32]string
	missing error // the key of something that was read
}

func (s *Store) tenantNames() map[uint32]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make(map[uint32]string)
	if s.state != nil {
		for name, t := range s.state.tenants {
			names[t.number] = name
		}
	}
	return names
}

// tenantName is the name of a tenant, which may be new since the export began.
func (s *export) tenantName(number uint32) string {
	if _, ok := s.tenants[number]; !ok {
		s.tenants = s.tenantNames()
		s.tenants[number] += "" // so that one whose record is lost is looked for once
	}
	return s.tenants[number]
}

func (s *export) webhook(b *delivery.Batch, tx *view, k, v []byte) {
	_, w, err := decodeWebhook(v, s.encryption.Keys())
	if known := s.known(k); encryption.IsMissingKey(err) && known != nil {
		w, err = known, nil // its key was in use when the store was opened
	}
	if err != nil {
		tx.bucket(webhooksBucket).undecodable(k)
		return
	}
	b.AddWebhook(delivery.StoredWebhook{Webhook: *w, Slow: tx.bucket(slowBucket).get(k) != nil})
}

// known is the webhook with a key in its bucket, as it is in memory.
func (s *Store) known(key []byte) *delivery.Webhook {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == nil || len(key) != 4 || s.state.byNumber[binary.BigEndian.Uint32(key)] == nil {
		return nil
	}
	return s.state.byNumber[binary.BigEndian.Uint32(key)].record
}

func (s *export) event(b *delivery.Batch, tx *view, k, v []byte) {
	head, err := decodeEventHead(v)
	if err == nil && head.expires <= s.clock.now().wall {
		return
	}
	e, err := decodeEvent(s.tenantName(head.tenant), v)
	if err == nil {
		err = s.encryption.DecryptEvent(&e.Event)
	}
	if encryption.IsMissingKey(err) {
		s.missing = err
		return
	}
	if err != nil {
		tx.bucket(eventsBucket).undecodable(k)
		return
	}
	stored := delivery.StoredEvent{
		Event: e.Event, Expires: record.Time(head.expires),
		Nonce: head.nonce, Place: int(head.place), Test: e.test,
	}
	ended := endedOf(tx, eventNumber(k))
	for _, webhook := range e.targets {
		if d, ok := s.delivery(tx, e, eventNumber(k), webhook, ended); ok {
			stored.Deliveries = append(stored.Deliveries, d)
		}
	}
	b.AddEvent(stored)
}

// delivery reads a delivery, if its webhook exists.
func (s *export) delivery(tx *view, e *storedEvent, event uint64, webhook uint32, ended endedDeliveries) (d delivery.StoredDelivery, ok bool) {
	state, ok := s.stateOfDelivery(tx, event, e.test, webhook, ended)
	if !ok {
		return d, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == nil || s.state.byNumber[webhook] == nil {
		return d, false
	}
	w := s.state.byNumber[webhook]
	d, err := state.Stored(w.record.ID)
	if err != nil { // its checksum is right, so that it was written so
		return d, false
	}
	due, scheduled := w.schedule.due(event)
	if !scheduled {
		d.Order, d.OrderPlace = delivery.OrderKey{}, 0
	} else {
		d.Due = record.Time(due - s.clock.now().ahead())
		if due == 0 || w.orders.waits(event) { // not tried before this process began, or not its turn
			d.Due = e.ReceivedAt
		}
	}
	return d, true
}

func (s *export) request(b *delivery.Batch, tx *view, k, v []byte) {
	head, err := decodeRowHead(v)
	ref, ok := s.reference(head.webhook)
	if err == nil && !ok {
		return
	}
	r, body, err := decodeRow(ref, uuid.UUID(k), v)
	if err == nil {
		r.ResponseBody = string(body)
		err = s.encryption.DecryptBody(&r)
	}
	if encryption.IsMissingKey(err) {
		s.missing = err
		return
	}
	if err != nil {
		tx.bucket(requestsBucket).undecodable(k)
		return
	}
	b.AddRequest(delivery.StoredRequest{Request: r, Previous: head.previous})
}

func (s *export) audit(b *delivery.Batch, tx *view, k, v []byte) {
	var tenant string
	if len(k) >= 4 {
		tenant = s.tenantName(binary.BigEndian.Uint32(k))
	}
	a, err := decodeAudit(tenant, k, v)
	if err != nil {
		tx.bucket(auditBucket).undecodable(k)
		return
	}
	if tenant != "" {
		b.AddAudit(a)
	}
}
