package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// auditSize is how much the audit log of a tenant has.
type auditSize struct{ entries, bytes int }

func (a *auditSize) isOver(most *auditSize) bool {
	return a.entries > most.entries || a.bytes > most.bytes
}

var (
	mostAudit = &auditSize{delivery.MaxAudit, delivery.MaxAuditBytes}
	leftAudit = &auditSize{delivery.MaxAudit * 9 / 10, delivery.MaxAuditBytes * 9 / 10}
)

// auditKey is a key in audit.
func auditKey(tenant uint32, id uuid.UUID) []byte { return idKey(tenant, id) }

// WriteAuditEntry writes an entry of the audit log.
func (s *Store) WriteAuditEntry(_ context.Context, entry *delivery.AuditEntry) error {
	return s.write(together, func(t *txn) error {
		of, err := s.tenant(t, entry.Tenant)
		if err != nil {
			return err
		}
		_, err = s.writeAudit(t, of, entry)
		return err
	})
}

// writeAudit writes entries of a tenant's audit log that are not there yet, and returns how
// many these were.
func (s *Store) writeAudit(t *txn, of *tenant, entries ...*delivery.AuditEntry) (added int, err error) {
	if len(entries) == 0 {
		return 0, nil
	}
	b, err := t.lateBucket(auditBucket)
	if err != nil {
		return 0, err
	}
	size := s.state.auditOf(b.bucket, of.number)
	before := *size
	t.undo = append(t.undo, func() { *size = before })
	for _, entry := range entries {
		key := auditKey(of.number, entry.ID)
		if b.get(key) != nil {
			continue
		}
		value := record.EncodeAudit(entry)
		if err := b.put(key, value); err != nil {
			return added, err
		}
		size.entries++
		size.bytes += len(value)
		added++
	}
	if !size.isOver(mostAudit) {
		return added, nil
	}
	return added, t.trimAudit(b, of.number, size)
}

// isLate reports whether files of earlier versions do not have a bucket.
func isLate(bucket []byte) bool {
	return bytes.Equal(bucket, auditBucket) || bytes.Equal(bucket, replaysBucket) || bytes.Equal(bucket, arrivedBucket)
}

// lateBucket opens a bucket that files of earlier versions do not have.
func (t *txn) lateBucket(name []byte) (journaled, error) {
	if !t.has(name) {
		if _, err := t.tx.CreateBucket(name); err != nil {
			return journaled{}, err
		}
		t.whole = true // whoever replays the journal must find the bucket
	}
	return t.journaled(name), nil
}

// has reports whether there is a bucket.
func (v *view) has(bucket []byte) bool { return v.tx.Bucket(bucket) != nil }

// auditOf gives the size of a tenant's audit log. It is counted when it is first needed.
// Only the writer uses it.
func (s *state) auditOf(b bucket, tenant uint32) *auditSize {
	if known := s.audits[tenant]; known != nil {
		return known
	}
	size := new(auditSize)
	prefix := number4(tenant)
	c := b.cursor()
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		size.entries++
		size.bytes += len(v)
	}
	s.audits[tenant] = size
	return size
}

// trimAudit removes the oldest entries of a log that has become too large, but never the
// newest.
func (t *txn) trimAudit(b journaled, tenant uint32, size *auditSize) error {
	var keys [][]byte
	prefix := number4(tenant)
	c := b.cursor()
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix) && size.entries > 1 && size.isOver(leftAudit); k, v = c.Next() {
		keys = append(keys, slices.Clone(k))
		size.entries--
		size.bytes -= len(v)
	}
	for _, k := range keys {
		if err := b.delete(k); err != nil {
			return err
		}
	}
	t.whole = true // a cursor that moves backwards stops at empty pages
	return nil
}

// AuditEntries reads a page of a tenant's audit log.
func (s *Store) AuditEntries(_ context.Context, tenant string, filter delivery.AuditFilter) (page delivery.AuditPage, err error) {
	filter.Limit = min(max(1, filter.Limit), delivery.MaxPage)
	err = s.read(func(v *view) error {
		number, known := s.tenantNumber(tenant)
		first, before, some := filter.Bounds()
		page = delivery.AuditPage{}
		if !known || !some || !v.has(auditBucket) {
			return nil
		}
		b := v.bucket(auditBucket)
		from, end := auditKey(number, first), auditKey(number, before)
		c := b.cursor()
		for k, value := c.before(end); bytes.Compare(k, from) >= 0 && k != nil; k, value = c.Prev() {
			if len(page.Entries) == filter.Limit {
				page.Next = page.Entries[filter.Limit-1].ID
				return nil
			}
			entry, err := decodeAudit(tenant, k, value)
			if err != nil {
				b.undecodable(k)
				continue
			}
			page.Entries = append(page.Entries, entry)
		}
		return nil
	})
	return page, err
}

// before moves to the last record before a key.
func (c cursor) before(key []byte) (k, value []byte) {
	if k, _ := c.Seek(key); k == nil {
		return c.Last()
	}
	return c.Prev()
}

func decodeAudit(tenant string, key, value []byte) (a delivery.AuditEntry, err error) {
	if len(key) != 4+len(uuid.UUID{}) {
		return a, record.ErrUnreadable
	}
	a, err = record.DecodeAudit(value)
	a.Tenant, a.ID = tenant, uuid.UUID(key[4:])
	return a, err
}

// tenantNumber finds the number of a tenant.
func (s *Store) tenantNumber(name string) (number uint32, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == nil || s.state.tenants[name] == nil {
		return 0, false
	}
	return s.state.tenants[name].number, true
}

// audits removes entries of audit logs that were written before a time, of some tenants. The
// next step goes on with the others.
func (s *sweep) audits(oldest int64) error {
	if !s.txn.has(auditBucket) {
		return nil
	}
	b := s.txn.bucket(auditBucket)
	c := b.cursor()
	from := number4(s.store.auditSwept)
	var keys [][]byte
	k, v := c.Seek(from)
	for looked := 0; len(k) >= 4; looked++ {
		tenant := binary.BigEndian.Uint32(k)
		if s.keys+len(keys)+looked >= sweepKeys {
			s.unfinished = true
			from = number4(tenant)
			break
		}
		if len(k) != 4+len(uuid.UUID{}) || !isOld(k[4:], oldest) {
			k, v = c.Seek(number4(tenant + 1))
			continue
		}
		keys = append(keys, slices.Clone(k))
		size := s.store.state.auditOf(b, tenant)
		s.txn.committed = append(s.txn.committed, size.without(len(v)))
		s.bytes += len(v)
		k, v = c.Next()
	}
	if !s.unfinished {
		from = number4(0)
	}
	s.store.auditSwept = binary.BigEndian.Uint32(from)
	return s.remove(auditBucket, keys...)
}

// without returns what to do once an entry is removed.
func (a *auditSize) without(bytes int) func() {
	return func() {
		a.entries--
		a.bytes -= bytes
	}
}
