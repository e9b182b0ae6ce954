package embedded

import (
	"encoding/binary"
	"slices"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// An entry of a packed bucket that cannot be read may have had many records. Those are written
// anew that other records confirm.

// restore writes the records of an entry anew that are confirmed: confirm may change the value.
func (a *aside) restore(p *packing, in, key, value []byte, confirm func(key, value []byte) (right []byte)) error {
	b := a.txn.journaled(in)
	var records []byte
	p.each(key, value, func(k, v []byte) {
		if v = confirm(k, v); v == nil {
			return
		}
		if _, ok := p.find(b.bucket, k); !ok {
			records = append(append(records, k...), v...)
		}
	})
	return p.add(b, records)
}

// deliveries writes deliveries anew as their last attempts say.
func (a *aside) deliveries(key, value []byte) error {
	events, requests := a.txn.bucket(eventsBucket), a.txn.bucket(requestsBucket)
	return a.restore(&packedDeliveries, deliveriesBucket, key, value, func(k, v []byte) []byte {
		d, err := record.DecodeDelivery(v)
		if err != nil {
			return nil
		}
		row := requests.get(d.Last[:])
		event, isEvent := isEventHead(events.get(k[:8]))
		h, isRow := isRowHead(row)
		_, webhook := splitDeliveryKey(k)
		if !isEvent || !isRow || h.event != event.id || h.tenant != event.tenant || h.webhook != webhook {
			return nil
		}
		r, _, err := decodeRow(delivery.WebhookRef{}, d.Last, row)
		if err != nil || r.Trigger != delivery.TriggerEvent && r.Trigger != delivery.TriggerRetry {
			return nil
		}
		d.Status, d.Attempts = statusOf(h.success, true), uint16(r.Attempt)
		return record.AppendDelivery(nil, &d)
	})
}

// logEntry adds the rows of its spans to the log that the log does not have: the key may be
// what is damaged, but not all ids are.
func (a *aside) logEntry(key, value []byte) error {
	spans := make(map[uint64][]byte)
	packedLog.each(key, value, func(k, _ []byte) { spans[packedLog.span(k)] = packedLog.start(k)[kindSize:] })
	log := a.txn.journaled(logBucket)
	var lost []byte
	for span, from := range spans {
		c := a.txn.bucket(requestsBucket).cursor()
		for k, v := c.Seek(from); len(k) == idSize && binary.BigEndian.Uint64(k)>>packedLog.shift == span; k, v = c.Next() {
			h, ok := isRowHead(v)
			if !ok {
				continue
			}
			for one := range slices.Chunk(h.appendLogKeys(nil, uuid.UUID(k)), logKeySize) {
				if _, ok := packedLog.find(log.bucket, one); !ok {
					lost = append(lost, one...)
				}
			}
		}
	}
	return packedLog.add(log, lost)
}
