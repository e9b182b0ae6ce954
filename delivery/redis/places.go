package redis

import (
	"encoding/binary"
	"iter"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// place is what a hash is for, of many that have the same kind of fields: see keys.go.
type place interface {
	comparable
	String() string
	hour() int64
}

// slot is the number of 5 minutes.
type slot int64

// slotOf is the slot of a time.
func slotOf(t time.Time) slot { return slot(record.Slice(t)) }

func (s slot) String() string { return strconv.FormatInt(int64(s), 10) }
func (s slot) hour() int64    { return int64(s) / slicesPerHour }

// eventSpan is how long a span is: event_span_ms in common.lua.
const eventSpan = 10 * time.Second

// span is the number of 10 seconds in which an event's id was made.
type span int64

// spanOf is the span of a time.
func spanOf(t time.Time) span { return span(t.UnixMilli() / eventSpan.Milliseconds()) }

func (s span) String() string { return strconv.FormatInt(int64(s), 10) }

// bucketID is a bucket.
type bucketID struct {
	of  int64 // the hour
	low byte  // 4 bits of the id
}

func bucketOf(t time.Time, id uuid.UUID) bucketID { return bucketID{record.Hour(t), id[15] & 15} }

func (b bucketID) String() string {
	text := strconv.AppendInt(make([]byte, 0, 16), b.of, 10)
	return string(append(text, ':', "0123456789abcdef"[b.low]))
}

func (b bucketID) hour() int64 { return b.of }

// fields sorts fields of hashes by their places, for succeed.lua.
type fields[P place] struct {
	all     []fieldsOf[P]
	numbers map[P]int // from 0; nil before the first
}

type fieldsOf[P place] struct {
	place  P
	groups []byte // of each field, 2 bytes
	fields []any  // with their values
}

// add adds a field. The group is that of its outcome.
func (f *fields[P]) add(place P, group int, field, value any) {
	n, ok := f.numbers[place]
	if !ok {
		n = len(f.all)
		if f.all = append(f.all, fieldsOf[P]{place: place}); f.numbers == nil {
			f.numbers = make(map[P]int)
		}
		f.numbers[place] = n
	}
	of := &f.all[n]
	of.groups = binary.BigEndian.AppendUint16(of.groups, uint16(group))
	of.fields = append(of.fields, field, value)
}

// hours gives the hours of the places, some more than once.
func (f *fields[P]) hours() iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for i := range f.all {
			if !yield(f.all[i].place.hour()) {
				return
			}
		}
	}
}

// append appends the arguments of the script.
func (f *fields[P]) append(args []any) []any {
	args = append(args, len(f.all))
	for i := range f.all {
		of := &f.all[i]
		args = append(args, of.place.String(), len(of.fields)/2, of.groups)
		args = append(args, of.fields...)
	}
	return args
}
