package embedded

import (
	"encoding/binary"

	"github.com/google/uuid"
)

// The buckets of the database. Numbers are big-endian, so that keys are in their order;
// ids are 16 bytes; times are milliseconds. Events are numbered in order of arrival, and
// an event's number begins with its time of arrival by the schedule's clock, which is never
// set back: see clock.go. Tenants, webhooks and event types have their own numbers, which
// are never reused.
//
//	meta        "schema" → version of this layout (4), without a checksum; "journal" →
//	            the last epoch of the journal that the database has (8), and the last
//	            one of which there were records (8); "id" → random id of the database
//	            (16); "upgrade", "reconcile": see upgrade.go, load.go;
//	            "wiped" → when all was overwritten that had been deleted (8): see wipe.go;
//	            "tried" → when it was last tried whether a full disk has room again (8);
//	            "stored", number of a tenant (4) → slices in which it has stored something,
//	            in their order, each in hours (4), and how many bytes (8): see stored.go;
//	            "received", hash of a message that others have sent (16), guard (8) → until
//	            when it counts as received, by the schedule's clock (8): see received.go;
//	            "erasing", number of an event that is being erased (8) → requests with whose
//	            bodies to go on (16 each)
//	tenants     name → number (4), version of its webhooks (8)
//	webhooks    number (4) → number of the tenant (4), id, name of the tenant, record
//	slow        number of a slow webhook (4) → nothing
//	gone        number of a deleted webhook whose rows are being removed (4) →
//	            number of its tenant (4)
//	types       event type → number (4)
//	events      number (8) → the event: see record.go
//	ids         number of the tenant (4), event id → number of the event (8); if the
//	            engine made the id, the first bit of the key is set, and it is packed
//	pending     number of the event (8), of the webhook (4) → the delivery, or
//	            nothing before its first request if it has no order key
//	deliveries  number of the event (8), of the webhook (4) → a delivery that is no
//	            longer pending, or never was on the schedule; packed
//	requests    request id → the row of the log: see record.go
//	log         't' and number of the tenant (4) or 'w' and number of the webhook
//	            (4), number of the event type (4), 1 for success or 0 (1), request
//	            id → nothing; packed
//	stats       slice of 5 minutes (4), number of the tenant (4), bucket of the
//	            duration (4), 1 for success or 0 (1) → how many requests (8)
//	strips      hour (4), numbers of the tenant (4) and of the webhook (4), 1 for
//	            success or 0 (1) → how many requests (8)
//	aside       number of a bucket (1), key → what could not be read there: when it was
//	            set aside (8), the value as it was
//	audit       number of the tenant (4), id of the entry → the entry of the audit log.
//	            Files of earlier versions have this bucket from the first entry on
//	replays     number of the tenant (4), id → 'r' for running, 'd' for done or 'c' for
//	            canceled (1), when it ended (8), the replay. Files of earlier versions
//	            have this bucket from the first one on
//	arrived     number of the tenant (4), of the event (8) → nothing; packed. It has the
//	            events from that on whose number is in meta (8), by the name of the
//	            bucket: see arrived.go
//
// Packed records are several in an entry: see packed.go.
// Slices and hours are counted from 1970. Each value ends with a checksum: see checksum.go.
// Layout 1 had none, and neither aside nor the names of tenants in the records of webhooks.
// Layout 2 had one record for each key. Its files are read as they are.
//
// Events, pending, deliveries and requests grow at the end and shrink at the beginning,
// whatever ids the emitters choose, so that they stay cheap however large they are.
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
	asideBucket      = []byte("aside")
	auditBucket      = []byte("audit")
	replaysBucket    = []byte("replays")
	arrivedBucket    = []byte("arrived")

	// The index of a bucket stands for it in the journal: add new buckets at the end.
	allBuckets = [][]byte{
		metaBucket, tenantsBucket, webhooksBucket, slowBucket, goneBucket, typesBucket,
		eventsBucket, idsBucket, pendingBucket, deliveriesBucket, requestsBucket, logBucket,
		statsBucket, stripsBucket, asideBucket, auditBucket, replaysBucket, arrivedBucket,
	}

	schemaKey = []byte("schema")
	triedKey  = []byte("tried")
)

// schemaVersion is the version of the layout above, encryptedVersion that of one in which secrets
// are encrypted: versions that know no keys would send without signatures.
const (
	schemaVersion    = 3
	encryptedVersion = 4
)

// appendFill is how full pages get in buckets that grow at the end, or at the ends of
// ranges: nothing is inserted into these pages later.
const appendFill = 0.9

func number4(n uint32) []byte { return binary.BigEndian.AppendUint32(make([]byte, 0, 4), n) }
func number8(n uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 8), n) }

// firstNumber is the number of the first event that is received in a millisecond. Others
// in the same millisecond have the numbers after it.
func firstNumber(received int64) uint64 { return uint64(received) << numberShift }

const numberShift = 20

// deliveryKey is a key in pending and deliveries.
func deliveryKey(event uint64, webhook uint32) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 12), event)
	return binary.BigEndian.AppendUint32(b, webhook)
}

func splitDeliveryKey(k []byte) (event uint64, webhook uint32) {
	return binary.BigEndian.Uint64(k), binary.BigEndian.Uint32(k[8:])
}

func idKey(tenant uint32, id uuid.UUID) []byte {
	return appendIDKey(make([]byte, 0, 20), tenant, id)
}

func appendIDKey(b []byte, tenant uint32, id uuid.UUID) []byte {
	return append(binary.BigEndian.AppendUint32(b, tenant), id[:]...)
}

// scope says whose log it is: a tenant's or a webhook's.
type scope [5]byte

func tenantScope(n uint32) scope  { return newScope('t', n) }
func webhookScope(n uint32) scope { return newScope('w', n) }

func newScope(kind byte, n uint32) scope {
	s := scope{kind}
	binary.BigEndian.PutUint32(s[1:], n)
	return s
}

const (
	kindSize   = len(scope{}) + 4 + 1 // of what precedes the id in a key of log
	logKeySize = kindSize + idSize
)

// appendLogKey appends a key of log to b.
func appendLogKey(b []byte, of scope, eventType uint32, success bool, id uuid.UUID) []byte {
	b = append(b, of[:]...)
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
