package embedded

import (
	"encoding/binary"

	"github.com/google/uuid"
)

// The buckets of the database. Numbers are big-endian, so that keys are in their
// order; ids are their 16 bytes, times milliseconds. An event's number is its
// place in the order of arrival, and begins with the time of that; tenants, webhooks
// and event types have numbers of their own, which are never used again.
//
//	meta        "schema" → version of this layout (4); "journal" → the last epoch of
//	            the journal that is in here (8); "id" → at random, once (16)
//	tenants     name → number (4), version of its webhooks (8)
//	webhooks    number (4) → number of the tenant (4), id, record
//	slow        number of a slow webhook (4) → nothing
//	gone        number of a deleted webhook whose rows are being removed (4) →
//	            number of its tenant (4)
//	types       event type → number (4)
//	events      number (8) → the event: see record.go
//	ids         number of the tenant (4), event id → number of the event (8)
//	pending     number of the event (8), of the webhook (4) → the delivery, or
//	            nothing before its first request
//	deliveries  number of the event (8), of the webhook (4) → the delivery that is
//	            pending no more, or never was on the schedule
//	requests    request id → the row of the log: see record.go
//	log         't' and number of the tenant (4) or 'w' and number of the webhook
//	            (4), number of the event type (4), 1 for success or 0 (1), request
//	            id → nothing
//	stats       slice of 5 minutes (4), number of the tenant (4), bucket of the
//	            duration (4), 1 for success or 0 (1) → how many requests (8)
//	strips      hour (4), numbers of the tenant (4) and of the webhook (4), 1 for
//	            success or 0 (1) → how many requests (8)
//
// Slices and hours are counted from 1970. The last two buckets are not in a file that
// an earlier version made, until they are needed; and one that has them is as good to
// that version, which leaves them as they are.
//
// Events, pending, deliveries and requests grow at their end and shrink at their
// beginning, whatever ids the emitters choose, so that they stay cheap however
// large they are.
var (
	metaBucket       = []byte("meta")
	tenantsBucket    = []byte("tenants")
	webhooksBucket   = []byte("webhooks")
	slowBucket       = []byte("slow")
	goneBucket       = []byte("gone")
	typesBucket      = []byte("types")
	eventsBucket     = []byte("events")
	idsBucket        = []byte("ids")
	pendingBucket    = []byte("pending")
	deliveriesBucket = []byte("deliveries")
	requestsBucket   = []byte("requests")
	logBucket        = []byte("log")
	statsBucket      = []byte("stats")
	stripsBucket     = []byte("strips")

	// The journal knows buckets by their places in here: later ones go to the end.
	allBuckets = [][]byte{
		metaBucket, tenantsBucket, webhooksBucket, slowBucket, goneBucket, typesBucket,
		eventsBucket, idsBucket, pendingBucket, deliveriesBucket, requestsBucket, logBucket,
		statsBucket, stripsBucket,
	}

	schemaKey = []byte("schema")
)

// schemaVersion is that of the layout above.
const schemaVersion = 1

// appendFill is how full pages are made in buckets that grow at the end of their
// keys, or of ranges of them: nothing is inserted into these pages again.
const appendFill = 0.9

func number4(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
func number8(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// firstNumber is the first number that an event gets that is received in a
// millisecond: others of the same one have the next.
func firstNumber(received int64) uint64 { return uint64(received) << numberShift }

const numberShift = 20

// deliveryKey is a key of pending and deliveries.
func deliveryKey(event uint64, webhook uint32) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 12), event)
	return binary.BigEndian.AppendUint32(b, webhook)
}

func splitDeliveryKey(k []byte) (event uint64, webhook uint32) {
	return binary.BigEndian.Uint64(k), binary.BigEndian.Uint32(k[8:])
}

func idKey(tenant uint32, id uuid.UUID) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 20), tenant)
	return append(b, id[:]...)
}

// scope says whose log: a tenant's or a webhook's.
type scope [5]byte

func tenantScope(n uint32) scope  { return newScope('t', n) }
func webhookScope(n uint32) scope { return newScope('w', n) }

func newScope(kind byte, n uint32) scope {
	s := scope{kind}
	binary.BigEndian.PutUint32(s[1:], n)
	return s
}

const (
	kindSize   = len(scope{}) + 4 + 1 // of what stands before the id in a key of log
	logKeySize = kindSize + 16
)

// logKey is a key of log.
func logKey(of scope, eventType uint32, success bool, id uuid.UUID) []byte {
	b := append(make([]byte, 0, logKeySize), of[:]...)
	b = binary.BigEndian.AppendUint32(b, eventType)
	b = append(b, boolByte(success))
	return append(b, id[:]...)
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}
