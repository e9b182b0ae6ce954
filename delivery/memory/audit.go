package memory

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// WriteAuditEntry writes an entry of the audit log.
func (s *Store) WriteAuditEntry(_ context.Context, entry *delivery.AuditEntry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writeAudit(entry)
	return nil
}

// writeAudit writes entries of the audit log, in the step of the change that they are about.
func (s *Store) writeAudit(entries ...*delivery.AuditEntry) {
	for _, entry := range entries {
		log := s.audits[entry.Tenant]
		at, known := slices.BinarySearchFunc(log, *entry, byID)
		if !known {
			s.audits[entry.Tenant] = trimAudit(slices.Insert(log, at, *entry))
		}
	}
}

func byID(a, b delivery.AuditEntry) int { return bytes.Compare(a.ID[:], b.ID[:]) }

// trimAudit removes the oldest entries of a log that has become too large.
func trimAudit(log []delivery.AuditEntry) []delivery.AuditEntry {
	size := 0
	for i := range log {
		size += auditSize(&log[i])
	}
	if len(log) <= delivery.MaxAudit && size <= delivery.MaxAuditBytes {
		return log
	}
	n := 0
	for ; n < len(log)-1 && (len(log)-n > delivery.MaxAudit*9/10 || size > delivery.MaxAuditBytes*9/10); n++ {
		size -= auditSize(&log[n])
	}
	return slices.Delete(log, 0, n)
}

// auditSize is about the size of an entry in memory.
func auditSize(a *delivery.AuditEntry) int {
	return 150 + len(a.By) + len(a.Address) + len(a.Before) + len(a.After)
}

// AuditEntries reads a page of a tenant's audit log.
func (s *Store) AuditEntries(_ context.Context, tenant string, filter delivery.AuditFilter) (page delivery.AuditPage, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first, before, _ := filter.Bounds()
	for _, entry := range slices.Backward(s.audits[tenant]) {
		if bytes.Compare(entry.ID[:], first[:]) < 0 || bytes.Compare(entry.ID[:], before[:]) >= 0 {
			continue
		}
		if len(page.Entries) == filter.Limit {
			page.Next = page.Entries[filter.Limit-1].ID
			break
		}
		page.Entries = append(page.Entries, entry)
	}
	return page, nil
}

// sweepAudits drops entries that are too old.
func (s *Store) sweepAudits(oldest time.Time) {
	for tenant, log := range s.audits {
		log = slices.DeleteFunc(log, func(a delivery.AuditEntry) bool { return a.At().Before(oldest) })
		if s.audits[tenant] = log; len(log) == 0 {
			delete(s.audits, tenant)
		}
	}
}
