package redis

import (
	"encoding/binary"
	"hash/fnv"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// Every key of a partition begins with the partition's base. A webhook's reference
// ("ref") is "<tenant>:<its id as text>"; other ids are 16 bytes. Scores are milliseconds
// of the schedule's clock, all other times milliseconds of Redis's; hours and days are
// counted from 1970, and so are slots, of 5 minutes, and spans, of 10 seconds. A bucket is
// "<hour>:<low 4 bits of the id>".
//
//	due, due:slow      zset    ref → when to look at its deliveries next
//	paused             zset    ref of a paused webhook → when its first delivery
//	                           falls due
//	pending:<ref>      zset    event id → end of the lease, or due time: that of a next
//	                           attempt less half a millisecond,
//	                           9e15 if it waits for others with its order key
//	queue:<ref>        zset    all scores 0; order key (16), place (8), event id of each
//	                           pending delivery that has an order key: the first of a key is
//	                           its head, which alone falls due
//	ordered:<ref>      hash    event id → order key and place, of each of these
//	leases             zset    end of a lease → the same, for each set
//	leased:<end of a lease>
//	                   set     event id and ref, for each delivery that was born leased.
//	                           If it is in pending, too, that counts
//	state              hash    ref → 'e' enabled or 'p' paused, then 'r' if it has a
//	                           rate, then 's' if slow, then 'q' if it may have the keys
//	                           queue and ordered; a webhook without a state does not
//	                           exist
//	rates              hash    ref of a webhook with a rate → when the next request may
//	                           begin (8), how many may begin in a time (4), that time
//	                           (8), both times in microseconds
//	webhooks:<tenant>  hash    webhook id as text → record; version → a number that
//	                           each change of the tenant's webhooks raises, to the time
//	                           in microseconds if that is higher
//	declared           set     refs of webhooks that the configuration made
//	changes:<tenant>   zset    "<version>:<webhook id as text>" → version: which webhook
//	                           changed to which version of the tenant's webhooks. The
//	                           last 64, without a gap; the oldest may lack the id
//	events:<span>      hash    "<tenant>:<event id>" → when it expires (6), an hour after
//	                           the retention; received time (13 digits), nonce of the
//	                           call (16), place in the call (2), number of deliveries
//	                           (2), record, whose payload lacks what precedes the data
//	                           in an envelope. The span is of the time in the id, which
//	                           has version 7: at most 10 minutes before that in
//	                           which the event was received, or 5 after
//	event:<tenant>:<event id>
//	                   string  any other event, without its first 6 bytes: it has an
//	                           expiry. So has one that an earlier version stored
//	arrived:<tenant>:<hour>
//	                   string  the index of the tenant's events that were received in the
//	                           hour, in their order: blocks of length (4), received time
//	                           (6), events, length (4), which is that of the events. An
//	                           event is its id (16), when it occurred in seconds (8) and
//	                           nanoseconds (4), number of deliveries (2), 1 for a test or 0
//	                           (1), length of its type (2), type. Expires like the last
//	                           event of its hour
//	arrived:<tenant>:<hour>:<number>
//	                   string  an earlier part of that, a chunk: from 0 on
//	arrivals:<tenant>  zset    name of a chunk, without the tenant → the hour, times a million,
//	                           plus the number of the chunk or, if it has none, 999,999;
//	                           expires with the last one
//	deliveries:<bucket>
//	                   hash    event id and webhook id → status (1), attempts (2),
//	                           due time (8), last request (16). The hour is when the
//	                           event was received, the 4 bits are of its id. A
//	                           delivery without a record has not been tried if it is
//	                           on the schedule or leased. If not, it succeeded at once,
//	                           by a first request whose id is one of a few that are
//	                           known (delivery.FirstRequestID), provided that there
//	                           is such a request
//	deliveries:<hour>  hash    there if a delivery has a record although its first
//	                           attempt had not ended: a field without a value
//	requests:<slot>    hash    request id → previous request of the delivery (16),
//	                           time of the next attempt (8), webhook id (16),
//	                           event id (16), '1' for success or '0', record. The
//	                           slot is that of the id. Earlier versions wrote this
//	                           to requests:<bucket>
//	bodies:<slot>      hash    request id → response body; earlier bodies:<bucket>
//	log:<tenant>:<day>, log:<ref>:<day>
//	                   zset    all scores 0; number of the event type (2), '1' or
//	                           '0', request id (16)
//	types              hash    event type → its number and, behind a point, the day on which it
//	                           was last used; '' → the last number that was given
//	freetypes          set     numbers that were given back, for new types
//	typesof:<tenant>   zset    event type → the last day on which it was noted, since events
//	                           of it came; expires when all are forgotten
//	logs:<day>         set     the tenants and refs that have a log for this day
//	hours              zset    "requests:<hour>", "deliveries:<hour>", "events:<hour>" →
//	                           the last hour for which it is needed
//	days               zset    day → day, for days that have a log
//	erasing            set     "<tenant>:<event id>" of each event that is being erased
//	swept              string  hour before which all buckets have been dropped
//	gone               zset    deleted webhook's ref → newest day in which it may
//	                           still have rows
//	ended              stream  an entry for each run of succeed.lua or complete.lua
//	                           that wrote rows, tenant → the ids of its requests, in
//	                           the order in which they were written. The last 1,000
//	                           entries or some more: mostly less than 1 MB, at most
//	                           17 MB
//	clock              string  what the schedule's clock said last (8), how far it is
//	                           ahead of Redis's (8)
//	aside              stream  fields of hashes that were set aside, since they cannot be
//	                           read: key, field and value. The last 1,000 entries or
//	                           some more
//	aside:<key>        any     a key that was set aside: it had the wrong type, or its
//	                           value cannot be read
//	stats:<tenant>:<hour>
//	                   hash    slice of 5 minutes in the hour (1), '1' for success or
//	                           '0', bucket of the duration (1) → how many requests;
//	                           expires when it is no longer kept
//	audit:<tenant>     zset    all scores 0; id of an entry of the audit log (16), record
//	audits             zset    tenant that has an audit log → when its oldest entry was
//	                           written
//	auditbytes         hash    the same tenant → how many bytes its entries have
//	replays:<tenant>   hash    id of a replay → 'r' for running, 'd' for done or 'c' for
//	                           canceled (1), when it ended (8), its holder (16), record;
//	                           'running' → id of the one that is running. Expires when the
//	                           retention has passed since the last change
//	replaying          zset    tenant that has a replay that is running → until when
//	                           somebody holds that
//	stored:<tenant>    hash    slice of time, in hours → how many bytes the tenant has stored
//	                           in it, if that is counted; expires when it is no longer kept
//	received:<message>:<guard>
//	                   string  "received", or the token of whoever is receiving the message;
//	                           message and guard in hex. Expires when it is no longer kept
//	waited             string  empty; written after each batch that replicas have to
//	                           confirm, and only if Options.WaitReplicas is set
//
// In addition to the partitions there is <prefix>:meta. common.lua makes the same keys.
type keys struct{ prefix string }

// meta is a hash with what must not change after the first Open, and with the key of followers'
// positions.
func (k keys) meta() string { return k.prefix + ":meta" }

// base is the beginning of all keys of a partition, and keeps them in one slot.
func (k keys) base(partition int) string {
	return k.prefix + ":{" + strconv.Itoa(partition) + "}:"
}

// baseOf is the base with which a key begins.
func baseOf(key string) string {
	const end = "}:"
	return key[:strings.Index(key, end)+len(end)]
}

func waitedKey(base string) string { return base + "waited" }

func declaredKey(base string) string { return base + "declared" }

func webhooksKey(base, tenant string) string { return base + "webhooks:" + tenant }

// eventField names an event in the hash of its span, and in the key of its own if it has one.
func eventField(tenant string, id uuid.UUID) string { return tenant + ":" + string(id[:]) }

func parseEventField(field string) (tenant string, id uuid.UUID, ok bool) {
	at := len(field) - len(id) - 1
	if at < 1 || field[at] != ':' {
		return "", id, false
	}
	return field[:at], uuid.UUID([]byte(field[at+1:])), true
}

func arrivedKey(base, tenant, chunk string) string { return base + "arrived:" + tenant + ":" + chunk }

func eventKey(base, tenant string, id uuid.UUID) string {
	return base + "event:" + eventField(tenant, id)
}

func eventsKey(base string, s span) string { return base + "events:" + s.String() }

// requestsKey is the key for a request's row.
func requestsKey(base string, id uuid.UUID) string {
	return base + "requests:" + slotOf(delivery.IDTime(id)).String()
}

// bodiesKey is the key for a request's response body.
func bodiesKey(base string, id uuid.UUID) string {
	return base + "bodies:" + slotOf(delivery.IDTime(id)).String()
}

// oldRequestsKey and oldBodiesKey are the keys to which earlier versions wrote both.
func oldRequestsKey(base string, id uuid.UUID) string {
	return base + "requests:" + bucket(delivery.IDTime(id), id)
}

func oldBodiesKey(base string, id uuid.UUID) string {
	return base + "bodies:" + bucket(delivery.IDTime(id), id)
}

// eventPattern is a glob for the keys of all events and of all hashes of events.
func (k keys) eventPattern() string {
	return globSpecial.ReplaceAllString(k.prefix, `\$0`) + ":{*}:event*:*"
}

var globSpecial = regexp.MustCompile(`[\\*?[]`)

// parsePartition parses a key of a partition; ok is false for another key.
func (k keys) parsePartition(key string) (partition int, rest string, ok bool) {
	rest, ok = strings.CutPrefix(key, k.prefix+":{")
	number, rest, cut := strings.Cut(rest, "}:")
	partition, err := strconv.Atoi(number)
	return partition, rest, ok && cut && err == nil
}

func pendingKey(base string, ref delivery.WebhookRef) string { return base + "pending:" + refText(ref) }

func orderedKey(base string, ref delivery.WebhookRef) string { return base + "ordered:" + refText(ref) }
func stateKey(base string) string                            { return base + "state" }
func sweptKey(base string) string                            { return base + "swept" }
func endedKey(base string) string                            { return base + "ended" }
func clockKey(base string) string                            { return base + "clock" }
func daysKey(base string) string                             { return base + "days" }
func logsKey(base, day string) string                        { return base + "logs:" + day }
func logKey(base, name, day string) string                   { return base + "log:" + name + ":" + day }

func auditKey(base, tenant string) string { return base + "audit:" + tenant }
func auditsKey(base string) string        { return base + "audits" }

func replaysKey(base, tenant string) string { return base + "replays:" + tenant }

func statsKey(base, tenant string, hour int64) string {
	return base + "stats:" + tenant + ":" + strconv.FormatInt(hour, 10)
}

// versionField is the only field of webhooks:<tenant> that is not a webhook.
const versionField = "version"

// refText names a webhook in Redis. The characters of a tenant do not include
// the colon.
func refText(ref delivery.WebhookRef) string { return ref.Tenant + ":" + ref.ID.String() }

// dayOf is the number of a day, from 1970.
func dayOf(t time.Time) int64 { return record.Hour(t) / 24 }

// idSpan is the span of an id of version 7; ok is false for another.
func idSpan(id uuid.UUID) (s span, ok bool) {
	return spanOf(delivery.IDTime(id)), id.Version() == 7
}

// bucket is that of a time and of an id, as text.
func bucket(t time.Time, id uuid.UUID) string { return bucketOf(t, id).String() }

// partitionOf spreads tenants over partitions.
func partitionOf(tenant string, partitions int) int {
	if partitions == 1 {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(tenant))
	return int(binary.BigEndian.Uint32(h.Sum(nil)) % uint32(partitions))
}
