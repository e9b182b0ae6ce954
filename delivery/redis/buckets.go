package redis

import (
	"encoding/binary"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// bucketID is a bucket: see keys.go.
type bucketID struct {
	hour int64
	low  byte // 4 bits of the id
}

func bucketOf(t time.Time, id uuid.UUID) bucketID { return bucketID{record.Hour(t), id[15] & 15} }

func (b bucketID) String() string {
	text := strconv.AppendInt(make([]byte, 0, 16), b.hour, 10)
	return string(append(text, ':', "0123456789abcdef"[b.low]))
}

// buckets sorts fields of hashes by their buckets, for succeed.lua.
type buckets struct {
	all     []bucketFields
	numbers map[bucketID]int // from 0
}

type bucketFields struct {
	bucketID
	groups []byte // of each field, 2 bytes
	fields []any  // with their values
}

func newBuckets() buckets { return buckets{numbers: make(map[bucketID]int)} }

// add adds a field. The group is that of its outcome.
func (b *buckets) add(id bucketID, group int, field, value any) {
	n, ok := b.numbers[id]
	if !ok {
		n = len(b.all)
		b.all = append(b.all, bucketFields{bucketID: id})
		b.numbers[id] = n
	}
	of := &b.all[n]
	of.groups = binary.BigEndian.AppendUint16(of.groups, uint16(group))
	of.fields = append(of.fields, field, value)
}

// append appends the arguments of the script.
func (b *buckets) append(args []any) []any {
	args = append(args, len(b.all))
	for i := range b.all {
		of := &b.all[i]
		args = append(args, of.String(), len(of.fields)/2, of.groups)
		args = append(args, of.fields...)
	}
	return args
}
