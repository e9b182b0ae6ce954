package embedded

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// Requests are counted when their rows are put into the database, also when the journal is
// replayed. So the journal needs no counters, and they cost next to nothing.

// counterKey is a key of stats and strips.
type counterKey [4 + 4 + 4 + 1]byte

// counter is a decoded counterKey.
type counter struct {
	at      uint32 // slice or hour
	tenant  uint32
	of      uint32 // bucket of the duration, or number of the webhook
	success bool
}

func (c counter) key() (k counterKey) {
	binary.BigEndian.PutUint32(k[:], c.at)
	binary.BigEndian.PutUint32(k[4:], c.tenant)
	binary.BigEndian.PutUint32(k[8:], c.of)
	k[12] = boolByte(c.success)
	return k
}

func parseCounter(k []byte) counter {
	return counter{
		at: binary.BigEndian.Uint32(k), tenant: binary.BigEndian.Uint32(k[4:]),
		of: binary.BigEndian.Uint32(k[8:]), success: k[12] == 1,
	}
}

// counts is what must be added to the counters of stats and strips.
type counts struct{ stats, strips map[counterKey]uint64 }

func newCounts() counts {
	return counts{make(map[counterKey]uint64), make(map[counterKey]uint64)}
}

// sliceOf and hourOf are the numbers of a time in the keys.
func sliceOf(t time.Time) uint32 { return uint32(record.Slice(t)) }
func hourOf(t time.Time) uint32  { return uint32(record.Hour(t)) }

// count counts a request whose row is put into the database.
func (v *view) count(h *rowHead, r *delivery.Request) {
	at := r.StartedAt()
	v.counts.stats[counter{sliceOf(at), h.tenant, uint32(delivery.DurationBucket(r.Duration)), h.success}.key()]++
	v.counts.strips[counter{hourOf(at), h.tenant, h.webhook, h.success}.key()]++
}

// countRow counts a request by its row, if that can be read.
func (v *view) countRow(id, row []byte) {
	if len(id) != len(uuid.UUID{}) {
		return
	}
	h, err := decodeRowHead(row)
	if err != nil {
		return
	}
	if r, _, err := decodeRow(delivery.WebhookRef{}, uuid.UUID(id), row); err == nil {
		v.count(&h, &r)
	}
}

// flushCounts adds the counts to the counters in the database.
func (v *view) flushCounts() error {
	added := v.counts
	v.counts = newCounts()
	for _, kind := range []struct {
		bucket []byte
		added  map[counterKey]uint64
	}{{statsBucket, added.stats}, {stripsBucket, added.strips}} {
		b := v.unjournaled(kind.bucket)
		compare := func(a, b counterKey) int { return bytes.Compare(a[:], b[:]) }
		for _, k := range slices.SortedFunc(maps.Keys(kind.added), compare) {
			n := b.count(k[:])
			if err := b.apply(k[:], v.sealer.seal(nil, b.number, k[:], number8(n+kind.added[k]))); err != nil {
				return err
			}
		}
	}
	return nil
}

// count reads a counter, which is 0 if it does not exist or cannot be read.
func (b bucket) count(key []byte) uint64 {
	if value := b.get(key); len(value) == 8 {
		return binary.BigEndian.Uint64(value)
	}
	return 0
}

// counted is a counter with its value, or with what must be added to it.
type counted struct {
	counter
	n uint64
}

// tenantSlices reads the counters of a tenant's slices from a given one on and before another,
// oldest first. A counter may come in two parts.
func (v *view) tenantSlices(tenant, from, to uint32) []counted {
	var all []counted
	for k, n := range v.counts.stats {
		if c := parseCounter(k[:]); c.tenant == tenant && c.at >= from && c.at < to {
			all = append(all, counted{c, n})
		}
	}
	cursor := v.bucket(statsBucket).cursor()
	seek := func(c counter) (k, value []byte) {
		key := c.key()
		return cursor.Seek(key[:])
	}
	for k, value := seek(counter{at: from, tenant: tenant}); k != nil; {
		switch c := parseCounter(k); {
		case c.at >= to:
			k = nil
		case c.tenant < tenant:
			k, value = seek(counter{at: c.at, tenant: tenant})
		case c.tenant > tenant:
			k, value = seek(counter{at: c.at + 1, tenant: tenant})
		default:
			if len(value) == 8 {
				all = append(all, counted{c, binary.BigEndian.Uint64(value)})
			}
			k, value = cursor.Next()
		}
	}
	slices.SortFunc(all, func(a, b counted) int { return cmp.Compare(a.at, b.at) })
	return all
}

// webhookHours reads the counters of a webhook's hours.
func (v *view) webhookHours(tenant, webhook, first, last uint32) []delivery.HourCount {
	var w delivery.WebhookRequests
	b := v.bucket(stripsBucket)
	for hour := first; hour <= last; hour++ {
		for _, success := range []bool{true, false} {
			key := counter{hour, tenant, webhook, success}.key()
			if n := v.counts.strips[key] + b.count(key[:]); n > 0 {
				w.Add(record.HourTime(int64(hour)), record.Status(success), int64(n))
			}
		}
	}
	return w.Hours
}
