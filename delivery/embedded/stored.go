package embedded

import (
	"context"
	"encoding/binary"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// storedSize is how many bytes a slice of what was stored takes.
const storedSize = 4 + 8

// storedKey is the key of what a tenant has stored, in meta: earlier versions pass over it.
func storedKey(tenant uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte("stored"), tenant)
}

// CountStored counts bytes that tenants have stored.
func (s *Store) CountStored(_ context.Context, added []delivery.StoredBytes, slice, first int64) ([]int64, error) {
	totals := make([]int64, len(added))
	how := reading
	for i := range added {
		if added[i].Bytes > 0 {
			how = together
		}
	}
	err := s.write(how, func(t *txn) error {
		for i := range added {
			var err error
			if totals[i], err = s.countStored(t, &added[i], slice, first); err != nil {
				return err
			}
		}
		return nil
	})
	return totals, err
}

// countStored counts bytes of one tenant.
func (s *Store) countStored(t *txn, added *delivery.StoredBytes, slice, first int64) (total int64, err error) {
	of := s.state.tenants[added.Tenant]
	if added.Bytes > 0 {
		of, err = s.tenant(t, added.Tenant)
	}
	if of == nil || err != nil {
		return 0, err
	}
	key := storedKey(of.number)
	old := t.bucket(metaBucket).get(key)
	kept := make([]byte, 0, len(old)+storedSize)
	now := added.Bytes
	for ; len(old) >= storedSize; old = old[storedSize:] {
		at, bytes := int64(binary.BigEndian.Uint32(old)), int64(binary.BigEndian.Uint64(old[4:]))
		switch {
		case at < first:
			continue
		case at == slice:
			now += bytes
		default:
			kept = append(kept, old[:storedSize]...)
		}
		total += bytes
	}
	if added.Bytes == 0 {
		return total, nil
	}
	kept = binary.BigEndian.AppendUint32(kept, uint32(slice))
	kept = binary.BigEndian.AppendUint64(kept, uint64(now))
	return total + added.Bytes, t.journaled(metaBucket).put(key, kept)
}
