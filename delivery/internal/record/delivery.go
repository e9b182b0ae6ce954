package record

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Delivery is where a delivery stands, in DeliverySize bytes: status (1), attempts (2),
// when it is tried again (8), last request (16). A pending delivery that was not tried
// has no record.
type Delivery struct {
	Status   byte
	Attempts uint16
	RetryAt  int64     // what its last attempt that failed asked for, in milliseconds; 0 without one
	Last     uuid.UUID // request; uuid.Nil before the first
}

// What a Delivery's Status is: the first letter of a delivery.DeliveryStatus.
const (
	Pending = 'p'
	Success = 's'
	Failed  = 'f'
)

// DeliverySize is how long the record of a delivery is.
const DeliverySize = 1 + 2 + 8 + 16

var deliveryStatuses = map[byte]delivery.DeliveryStatus{
	Pending: delivery.DeliveryPending,
	Success: delivery.DeliverySuccess,
	Failed:  delivery.DeliveryFailed,
}

// AppendDelivery makes a delivery's record behind what b has.
func AppendDelivery(b []byte, d *Delivery) []byte {
	b = append(b, d.Status)
	b = binary.BigEndian.AppendUint16(b, d.Attempts)
	b = binary.BigEndian.AppendUint64(b, uint64(d.RetryAt))
	return append(b, d.Last[:]...)
}

// DecodeDelivery reads a delivery's record, which is empty before its first request.
func DecodeDelivery(b []byte) (Delivery, error) {
	switch {
	case len(b) == 0:
		return Delivery{Status: Pending}, nil
	case len(b) < DeliverySize:
		return Delivery{}, ErrUnreadable
	}
	return Delivery{
		Status: b[0], Attempts: binary.BigEndian.Uint16(b[1:]),
		RetryAt: int64(binary.BigEndian.Uint64(b[3:])), Last: uuid.UUID(b[11:DeliverySize]),
	}, nil
}

// Of describes the delivery of an event to a webhook. A test is on no schedule.
func (d *Delivery) Of(e *delivery.Event, test bool, webhook uuid.UUID) delivery.Delivery {
	described := delivery.Delivery{WebhookID: webhook, Status: deliveryStatuses[d.Status], Attempts: int(d.Attempts)}
	switch {
	case d.Status != Pending:
	case d.Attempts == 0 && !test:
		described.NextAttemptAt = e.ReceivedAt
	default:
		described.NextAttemptAt = Time(d.RetryAt)
	}
	return described
}

// Stored is the delivery as it is copied, but for when it falls due.
func (d *Delivery) Stored(webhook uuid.UUID) (delivery.StoredDelivery, error) {
	status := deliveryStatuses[d.Status]
	if status == "" {
		return delivery.StoredDelivery{}, ErrUnreadable
	}
	return delivery.StoredDelivery{
		Webhook: webhook, Status: status, Attempts: int(d.Attempts),
		RetryAt: Time(d.RetryAt), LastRequest: d.Last,
	}, nil
}

// AppendStoredDelivery makes the record of a delivery that is copied.
func AppendStoredDelivery(b []byte, d *delivery.StoredDelivery) []byte {
	return AppendDelivery(b, &Delivery{
		Status: d.Status[0], Attempts: uint16(d.Attempts), RetryAt: Millis(d.RetryAt), Last: d.LastRequest,
	})
}

// Status is how a request ended.
func Status(success bool) delivery.RequestStatus {
	if success {
		return delivery.RequestSuccess
	}
	return delivery.RequestFailed
}

// Millis is a time in milliseconds, 0 for the zero time; Time reads it.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Time is a time from milliseconds, the zero time from 0.
func Time(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
