package record

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Delivery is the state of a delivery. Its record has DeliverySize bytes: status (1),
// attempts (2), time of the retry (8), last request (16). A pending delivery that has not
// been tried has no record. If it has an order key, it has one, which ends with the key (16) and
// the place (8); a store may keep these elsewhere.
type Delivery struct {
	Status   byte
	Attempts uint16
	RetryAt  int64     // when its last failed attempt asked to be retried, in milliseconds; 0 if none did
	Last     uuid.UUID // request; uuid.Nil before the first
	// Order is its key while it is pending, and Place its place among those with the same key.
	Order delivery.OrderKey
	Place uint64
	// Waits says that it is pending but not the head of its order key. It is not in the record.
	Waits bool
}

// The values of a Delivery's Status: the first letters of each delivery.DeliveryStatus.
const (
	Pending = 'p'
	Success = 's'
	Failed  = 'f'
)

// DeliverySize is the length of a delivery's record.
const DeliverySize = 1 + 2 + 8 + 16

const orderedSize = DeliverySize + len(delivery.OrderKey{}) + 8

var deliveryStatuses = map[byte]delivery.DeliveryStatus{
	Pending: delivery.DeliveryPending,
	Success: delivery.DeliverySuccess,
	Failed:  delivery.DeliveryFailed,
}

// AppendDelivery appends a delivery's record to b.
func AppendDelivery(b []byte, d *Delivery) []byte {
	b = append(b, d.Status)
	b = binary.BigEndian.AppendUint16(b, d.Attempts)
	b = binary.BigEndian.AppendUint64(b, uint64(d.RetryAt))
	b = append(b, d.Last[:]...)
	if d.Order == (delivery.OrderKey{}) {
		return b
	}
	return binary.BigEndian.AppendUint64(append(b, d.Order[:]...), d.Place)
}

// DecodeDelivery decodes a delivery's record, which is empty before its first request.
func DecodeDelivery(b []byte) (Delivery, error) {
	switch {
	case len(b) == 0:
		return Delivery{Status: Pending}, nil
	case len(b) < DeliverySize:
		return Delivery{}, ErrUnreadable
	}
	d := Delivery{
		Status: b[0], Attempts: binary.BigEndian.Uint16(b[1:]),
		RetryAt: int64(binary.BigEndian.Uint64(b[3:])), Last: uuid.UUID(b[11:DeliverySize]),
	}
	if len(b) == orderedSize {
		d.Order, d.Place = delivery.OrderKey(b[DeliverySize:]), binary.BigEndian.Uint64(b[orderedSize-8:])
	}
	return d, nil
}

// Of describes the delivery of an event to a webhook. The delivery of a test is not on the
// schedule.
func (d *Delivery) Of(e *delivery.Event, test bool, webhook uuid.UUID) delivery.Delivery {
	described := delivery.Delivery{WebhookID: webhook, Status: deliveryStatuses[d.Status], Attempts: int(d.Attempts)}
	switch {
	case d.Status != Pending, d.Waits:
	case d.Attempts == 0 && !test:
		described.NextAttemptAt = e.ReceivedAt
	default:
		described.NextAttemptAt = Time(d.RetryAt)
	}
	return described
}

// Attempted describes a delivery of which there is a request.
func (d *Delivery) Attempted(webhook uuid.UUID) delivery.Delivery { return d.Of(nil, true, webhook) }

// Stored is the delivery as Export gives it, without when it falls due.
func (d *Delivery) Stored(webhook uuid.UUID) (delivery.StoredDelivery, error) {
	status := deliveryStatuses[d.Status]
	if status == "" {
		return delivery.StoredDelivery{}, ErrUnreadable
	}
	return delivery.StoredDelivery{
		Webhook: webhook, Status: status, Attempts: int(d.Attempts),
		RetryAt: Time(d.RetryAt), LastRequest: d.Last, Order: d.Order, OrderPlace: d.Place,
	}, nil
}

// AppendStoredDelivery appends the record of a delivery that is imported to b.
func AppendStoredDelivery(b []byte, d *delivery.StoredDelivery) []byte {
	return AppendDelivery(b, &Delivery{
		Status: d.Status[0], Attempts: uint16(d.Attempts), RetryAt: Millis(d.RetryAt), Last: d.LastRequest,
	})
}

// Status is the status of a request.
func Status(success bool) delivery.RequestStatus {
	if success {
		return delivery.RequestSuccess
	}
	return delivery.RequestFailed
}

// Millis converts a time to milliseconds, the zero time to 0. Time converts it back.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Time converts milliseconds to a time, 0 to the zero time.
func Time(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
