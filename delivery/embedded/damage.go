package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// damage is what is known to be damaged. Readers note records that they cannot read, and
// go on without them. Then the writer sets these aside: see aside.go.
type damage struct {
	mu    sync.Mutex
	noted []damagedRecord
	known map[string]bool // what was noted before, by bucket and key
	seen  int64           // how many were noted
	aside int64           // how many were set aside
	// structure says which of the database's pages cannot be read, if any.
	structure error
	// erasure says that one is lost: see eraseagain.go.
	erasure bool
}

// damagedRecord is a record that cannot be read.
type damagedRecord struct {
	bucket byte
	key    string
	// whole says that its checksum is right.
	whole bool
}

// maxNoted is how many records wait to be set aside at most. Whoever reads the others
// again notes them again.
const maxNoted = 1000

// maxKey is more than the length of any key. A damaged page may have one of any length.
const maxKey = 1 << 10

// note notes a record that cannot be read.
func (d *damage) note(bucket byte, key []byte, whole bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := damagedRecord{bucket, string(key[:min(len(key), maxKey)]), whole}
	if id := r.id(); !d.known[id] && len(d.noted) < maxNoted {
		if d.known == nil {
			d.known = make(map[string]bool)
		}
		d.known[id] = true
		d.noted = append(d.noted, r)
		d.seen++
	}
}

// noting is how many records have been noted.
func (d *damage) noting() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.seen
}

// id is the key in the bucket aside.
func (r *damagedRecord) id() string { return string([]byte{r.bucket}) + r.key }

// waits reports whether there are records to set aside.
func (d *damage) waits() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.noted) > 0
}

// waitsPacked reports whether there are entries to set aside that may have several records.
func (d *damage) waitsPacked() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.noted, func(r damagedRecord) bool {
		return packingOf(r.bucket) != nil
	})
}

// take gives the records to set aside.
func (d *damage) take() []damagedRecord {
	d.mu.Lock()
	defer d.mu.Unlock()
	noted := d.noted
	d.noted = nil
	d.aside += int64(len(noted))
	return noted
}

// forget forgets a record that is not in its place any more.
func (d *damage) forget(r *damagedRecord) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.known, r.id())
}

// count counts a record that is set aside in memory alone.
func (d *damage) count() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.aside++
}

// page remembers that pages of the database cannot be read. It reports whether that is news.
func (d *damage) page(err error) bool {
	if !errors.Is(err, errDamaged) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.structure != nil {
		return false
	}
	d.structure = err
	return true
}

// health is an error if pages of the database cannot be read.
func (d *damage) health() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.structure
}

// SetAside is how many records this process could not read and has set aside.
func (s *Store) SetAside() int64 {
	s.damage.mu.Lock()
	defer s.damage.mu.Unlock()
	return s.damage.aside
}

// errDamaged says that more is damaged than single records.
const errDamaged = delivery.Reason("the store is damaged: stop Caddy, let \"caddy webhooks check\" say what is damaged, " +
	"and copy what is whole with its flag --salvage, or restore its folder from a backup")

// guarded returns an error when the database comes upon a damaged page: then bbolt panics,
// or reads memory that is not mapped.
func guarded(do func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(before)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %w (%v)", delivery.ErrUnavailable, errDamaged, p)
		}
	}()
	return do()
}

// noticed notes damaged pages in the result of an operation, and says once in the log that
// there are any.
func (s *Store) noticed(err error) error {
	if s.damage.page(err) {
		s.log.Error("a page of the webhooks' store cannot be read", zap.String("folder", s.folder), zap.Error(err))
	}
	return err
}

// fields names a record in the log, as far as its key says what it is.
func (r *damagedRecord) fields() []zap.Field {
	fields := []zap.Field{zap.String("bucket", string(allBuckets[r.bucket])), zap.Binary("key", []byte(r.key))}
	for _, f := range r.names() {
		fields = append(fields, zap.String(f[0], f[1]))
	}
	return fields
}

// String names a record for people.
func (r *damagedRecord) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %x", allBuckets[r.bucket], r.key)
	separator := " ("
	for _, f := range r.names() {
		b.WriteString(separator + f[0] + " " + f[1])
		separator = ", "
	}
	if separator != " (" {
		b.WriteString(")")
	}
	return b.String()
}

// names gives the names and values of what a key consists of.
func (r *damagedRecord) names() [][2]string {
	key := []byte(r.key)
	number := func(name string, at int) [2]string {
		return [2]string{name, fmt.Sprint(binary.BigEndian.Uint32(key[at:]))}
	}
	event := func() [][2]string {
		n := binary.BigEndian.Uint64(key)
		return [][2]string{{"event_number", fmt.Sprint(n)}, {"received_at", time.UnixMilli(int64(n >> numberShift)).UTC().Format(time.RFC3339Nano)}}
	}
	last16 := func(name string) [2]string {
		return [2]string{name, uuid.UUID(key[len(key)-16:]).String()}
	}
	switch bucket := string(allBuckets[r.bucket]); {
	case r.isErasing() && len(key) == len(erasingPrefix)+8:
		key = key[len(erasingPrefix):]
		return event()
	case bucket == "tenants", bucket == "types", bucket == "meta":
		return [][2]string{{"name", r.key}}
	case slices.Contains([]string{"webhooks", "slow", "gone"}, bucket) && len(key) == 4:
		return [][2]string{number("webhook_number", 0)}
	case bucket == "events" && len(key) == 8:
		return event()
	case slices.Contains([]string{"pending", "deliveries"}, bucket) && len(key) == 12:
		return append(event(), number("webhook_number", 8))
	case bucket == "ids" && len(key) == 20:
		tenant := binary.BigEndian.Uint32(key) &^ (madeBit << 24)
		return [][2]string{{"tenant_number", fmt.Sprint(tenant)}, last16("event_id")}
	case bucket == "arrived" && len(key) == packedArrived.key:
		n := binary.BigEndian.Uint64(key[4:])
		return [][2]string{number("tenant_number", 0), {"event_number", fmt.Sprint(n)}}
	case bucket == "audit" && len(key) == 20:
		return [][2]string{number("tenant_number", 0), last16("entry_id")}
	case bucket == "requests" && len(key) == 16, bucket == "log" && len(key) == logKeySize:
		return [][2]string{last16("request_id")}
	default:
		return nil
	}
}
