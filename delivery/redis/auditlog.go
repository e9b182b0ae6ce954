package redis

import (
	"context"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

var writeAuditScript = loadScript("write_audit")

// WriteAuditEntry writes an entry of the audit log.
func (s *Store) WriteAuditEntry(ctx context.Context, entry *delivery.AuditEntry) error {
	p, err := s.at(entry.Tenant)
	if err != nil {
		return err
	}
	_, err = s.run(ctx, writeAuditScript, p.base, entry.Tenant, entry.ID[:], record.EncodeAudit(entry))
	return err
}

// AuditEntries reads a page of a tenant's audit log.
func (s *Store) AuditEntries(ctx context.Context, tenant string, filter delivery.AuditFilter) (page delivery.AuditPage, err error) {
	p, err := s.at(tenant)
	if err != nil {
		return page, err
	}
	filter.Limit = min(max(1, filter.Limit), delivery.MaxPage)
	first, before, some := filter.Bounds()
	if !some {
		return page, nil
	}
	key := auditKey(p.base, tenant)
	found := s.client().ZRevRangeByLex(ctx, key, &redis.ZRangeBy{
		Min: "[" + string(first[:]), Max: "(" + string(before[:]), Count: int64(filter.Limit) + 1,
	})
	if err := s.mend(ctx, p.base, key, found.Err()); err != nil {
		return page, err
	}
	for i, stored := range found.Val() {
		if i == filter.Limit {
			if last := found.Val()[i-1]; len(last) >= len(page.Next) {
				page.Next = uuid.UUID([]byte(last[:len(page.Next)]))
			}
			break
		}
		if a, ok := s.decodeAudit(p.base, tenant, stored); ok {
			page.Entries = append(page.Entries, a)
		}
	}
	return page, nil
}

// decodeAudit decodes an entry. One that cannot be read stays where it is, until it is too
// old.
func (s *Store) decodeAudit(base, tenant, stored string) (a delivery.AuditEntry, ok bool) {
	err := record.ErrUnreadable
	if len(stored) > len(a.ID) {
		a, err = record.DecodeAudit([]byte(stored[len(a.ID):]))
	}
	if err != nil {
		id := stored[:min(len(stored), len(a.ID))]
		if s.troubles.news(auditKey(base, tenant) + id) {
			s.log.Error("a record in Redis cannot be read and cannot be set aside",
				zap.String("key", auditKey(base, tenant)), zap.String("field", readable(id)), zap.String("reason", err.Error()), zap.Error(err))
		}
		return a, false
	}
	a.Tenant, a.ID = tenant, uuid.UUID([]byte(stored[:len(a.ID)]))
	return a, true
}

// audits exports the audit logs.
func (e *export) audits() error {
	for _, p := range e.parts {
		if err := e.inPages(p.base, auditsKey(p.base), func(tenant string) error {
			return e.inPages(p.base, auditKey(p.base, tenant), func(stored string) error {
				a, ok := e.decodeAudit(p.base, tenant, stored)
				if !ok {
					return nil
				}
				e.batch.AddAudit(a)
				return e.added()
			})
		}); err != nil {
			return err
		}
	}
	return nil
}

// inPages calls each for every member of a sorted set, in their order.
func (e *export) inPages(base, key string, each func(member string) error) error {
	for from := int64(0); ; from += delivery.BatchItems {
		page := e.client().ZRange(e.ctx, key, from, from+delivery.BatchItems-1)
		if err := page.Err(); err != nil {
			return e.mend(e.ctx, base, key, err)
		}
		for _, member := range page.Val() {
			if err := each(member); err != nil {
				return err
			}
		}
		if len(page.Val()) < delivery.BatchItems {
			return nil
		}
	}
}

// importAudits makes calls of the script, none of which does more than a script may.
func (s *Store) importAudits(all []delivery.AuditEntry) (calls []*call, err error) {
	const most = 100 // of a call
	var last *delivery.AuditEntry
	for i := range all {
		a := &all[i]
		if last == nil || last.Tenant != a.Tenant || len(calls[len(calls)-1].args) > 2*most {
			p, err := s.at(a.Tenant)
			if err != nil {
				return nil, err
			}
			calls = append(calls, &call{script: writeAuditScript, base: p.base, args: []any{a.Tenant}})
		}
		c := calls[len(calls)-1]
		c.args = append(c.args, a.ID[:], record.EncodeAudit(a))
		last = a
	}
	return calls, nil
}
