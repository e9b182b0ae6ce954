package redis

import (
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// counter is what requests that are counted together have in common.
type counter struct {
	tenant string
	slice  int64 // from 1970
	status byte
	bucket byte // of the duration
}

const slicesPerHour = int64(time.Hour / delivery.StatsSlice)

func counterOf(r *delivery.Request) counter {
	return counter{
		tenant: r.Tenant, slice: record.Slice(r.StartedAt()),
		status: statusByte(r.Status), bucket: byte(delivery.DurationBucket(r.Duration)),
	}
}

// counterNumber is the number of a request's counter in the script's arguments, from 1.
func (c *completion) counterNumber(r *delivery.Request) int {
	of := counterOf(r)
	n, ok := c.counterNumbers[of]
	if !ok {
		c.counters = append(c.counters, of.key(c.partition.base), of.field())
		n = len(c.counters) / 2
		c.counterNumbers[of] = n
	}
	return n
}

func (c counter) key(base string) string { return statsKey(base, c.tenant, c.slice/slicesPerHour) }

// field is the counter's field in stats: see keys.go.
func (c counter) field() []byte { return []byte{byte(c.slice % slicesPerHour), c.status, c.bucket} }
