package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// The first byte of a replay's record says its state.
const (
	replayRunning  = 'r'
	replayDone     = 'd'
	replayCanceled = 'c'
)

// replayHead is what precedes the record itself: the state, and when it finished.
const replayHead = 1 + 8

// heldReplay says who holds a replay, and until when. That is in memory alone, as leases are: the
// process that had it ends with the store.
type heldReplay struct {
	holder uuid.UUID
	until  int64 // by the schedule's clock
}

// replayKey is a key in replays.
func replayKey(tenant uint32, id uuid.UUID) []byte { return idKey(tenant, id) }

func appendReplay(b []byte, state byte, finished time.Time, r *delivery.Replay) []byte {
	ms := int64(0)
	if !finished.IsZero() {
		ms = finished.UnixMilli()
	}
	b = binary.BigEndian.AppendUint64(append(b, state), uint64(ms))
	return append(b, record.EncodeReplay(r)...)
}

func decodeReplay(tenant string, key, value []byte) (r delivery.Replay, err error) {
	if len(key) != 4+len(uuid.UUID{}) || len(value) < replayHead {
		return r, record.ErrUnreadable
	}
	if r, err = record.DecodeReplay(value[replayHead:]); err != nil {
		return r, err
	}
	r.Tenant, r.ID = tenant, uuid.UUID(key[4:])
	switch value[0] {
	case replayRunning:
		r.State = delivery.ReplayRunning
	case replayDone:
		r.State = delivery.ReplayDone
	case replayCanceled:
		r.State = delivery.ReplayCanceled
	default:
		return r, record.ErrUnreadable
	}
	if ms := int64(binary.BigEndian.Uint64(value[1:])); ms != 0 {
		r.FinishedAt = record.Time(ms).UTC()
	}
	return r, nil
}

// replaysOf reads the replays of a tenant, oldest first.
func (v *view) replaysOf(tenant string, number uint32) (all []delivery.Replay) {
	if !v.has(replaysBucket) {
		return nil
	}
	b, prefix := v.bucket(replaysBucket), number4(number)
	c := b.cursor()
	for k, value := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, value = c.Next() {
		r, err := decodeReplay(tenant, k, value)
		if err != nil {
			b.undecodable(k)
			continue
		}
		all = append(all, r)
	}
	return all
}

// CreateReplay adds a replay, unless one of the tenant is running.
func (s *Store) CreateReplay(_ context.Context, r *delivery.Replay, _ time.Duration) error {
	return s.write(alone, func(t *txn) error {
		of, err := s.tenant(t, r.Tenant)
		if err != nil {
			return err
		}
		b, err := t.lateBucket(replaysBucket)
		if err != nil {
			return err
		}
		all := t.replaysOf(r.Tenant, of.number)
		for i := range all {
			switch {
			case all[i].ID == r.ID: // the call is repeated
				return nil
			case all[i].State == delivery.ReplayRunning:
				return delivery.ErrReplayRunning
			}
		}
		for i := range max(0, len(all)+1-delivery.MaxReplays) {
			if err := b.delete(replayKey(of.number, all[i].ID)); err != nil {
				return err
			}
			t.whole = true // a cursor passes over what was removed only after a commit
		}
		t.committed = append(t.committed, func() { s.state.replays[r.Tenant] = &heldReplay{} })
		return b.put(replayKey(of.number, r.ID), appendReplay(nil, replayRunning, time.Time{}, r))
	})
}

// Replays reads a tenant's replays, newest first.
func (s *Store) Replays(_ context.Context, tenant string) (all []delivery.Replay, err error) {
	err = s.read(func(v *view) error {
		if number, known := s.tenantNumber(tenant); known {
			all = v.replaysOf(tenant, number)
		}
		return nil
	})
	slices.Reverse(all)
	return all, err
}

// ClaimReplays has replays held that are running and that nobody holds.
func (s *Store) ClaimReplays(_ context.Context, _ int, holder uuid.UUID, lease time.Duration, most int) (claimed []delivery.Replay, err error) {
	for _, tenant := range s.takeReplays(holder, lease, most) {
		all, err := s.Replays(context.Background(), tenant)
		if err != nil {
			return claimed, err // the others are claimed when their leases end
		}
		running := slices.IndexFunc(all, func(r delivery.Replay) bool { return r.State == delivery.ReplayRunning })
		if running >= 0 {
			claimed = append(claimed, all[running])
			continue
		}
		s.mu.Lock()
		if s.state != nil { // its record was lost
			delete(s.state.replays, tenant)
		}
		s.mu.Unlock()
	}
	return claimed, nil
}

// takeReplays has replays held, and returns their tenants.
func (s *Store) takeReplays(holder uuid.UUID, lease time.Duration, most int) (tenants []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == nil {
		return nil
	}
	now := s.clock.now().schedule
	for tenant, held := range s.state.replays {
		if held.until <= now && len(tenants) < most {
			held.holder, held.until = holder, now+lease.Milliseconds()
			tenants = append(tenants, tenant)
		}
	}
	return tenants
}

// SaveReplay writes how far a replay has come.
func (s *Store) SaveReplay(_ context.Context, r *delivery.Replay, holder uuid.UUID, lease, _ time.Duration) (state delivery.ReplayState, err error) {
	err = s.write(alone, func(t *txn) error {
		stored, of := s.storedReplay(t, r.Tenant, r.ID)
		held := s.heldReplay(r.Tenant)
		switch {
		case stored.State == delivery.ReplayDone:
			state = stored.State // the call is repeated
			return nil
		case stored.ID == uuid.Nil, stored.State == delivery.ReplayRunning && (held == nil || held.holder != holder):
			return delivery.ErrReplayLost
		}
		state = r.State
		mark, finished := byte(replayRunning), r.FinishedAt
		switch {
		case stored.State == delivery.ReplayCanceled:
			state, mark, finished = stored.State, replayCanceled, stored.FinishedAt
		case r.State == delivery.ReplayDone:
			mark = replayDone
			t.committed = append(t.committed, func() { delete(s.state.replays, r.Tenant) })
		default:
			until := t.at.schedule + lease.Milliseconds()
			t.committed = append(t.committed, func() { held.until = until })
		}
		return t.journaled(replaysBucket).put(replayKey(of, r.ID), appendReplay(nil, mark, finished, r))
	})
	if err != nil {
		return "", err
	}
	return state, nil
}

// heldReplay says who holds the replay of a tenant that is running, nil if none is.
func (s *Store) heldReplay(tenant string) *heldReplay {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.replays[tenant]
}

// storedReplay reads one replay; it has no id if there is none.
func (s *Store) storedReplay(t *txn, tenant string, id uuid.UUID) (r delivery.Replay, number uint32) {
	of := s.state.tenants[tenant]
	if of == nil || !t.has(replaysBucket) {
		return delivery.Replay{}, 0
	}
	b, key := t.bucket(replaysBucket), replayKey(of.number, id)
	if value := b.get(key); value != nil {
		stored, err := decodeReplay(tenant, key, value)
		if err == nil {
			return stored, of.number
		}
		b.undecodable(key)
	}
	return delivery.Replay{}, of.number
}

// CancelReplay cancels a replay that is running.
func (s *Store) CancelReplay(_ context.Context, tenant string, id uuid.UUID) error {
	return s.write(alone, func(t *txn) error {
		r, of := s.storedReplay(t, tenant, id)
		switch {
		case r.ID == uuid.Nil:
			return delivery.ErrNotFound
		case r.State != delivery.ReplayRunning:
			return nil
		}
		t.committed = append(t.committed, func() { delete(s.state.replays, tenant) })
		finished := record.Time(t.at.wall)
		return t.journaled(replaysBucket).put(replayKey(of, id), appendReplay(nil, replayCanceled, finished, &r))
	})
}

// replays removes replays that were created before a time and are not running.
func (s *sweep) replays(oldest int64) error {
	if !s.txn.has(replaysBucket) {
		return nil
	}
	var keys [][]byte
	c := s.txn.bucket(replaysBucket).cursor()
	for k, v := c.First(); k != nil && s.keys+len(keys) < sweepKeys; k, v = c.Next() {
		if len(k) == 4+len(uuid.UUID{}) && len(v) > 0 && v[0] != replayRunning && isOld(k[4:], oldest) {
			keys = append(keys, slices.Clone(k))
		}
	}
	return s.remove(replaysBucket, keys...)
}

// runningReplays finds the replays that are running: nobody holds them.
func (l *loader) runningReplays() {
	if !l.view.has(replaysBucket) {
		return
	}
	names := make(map[uint32]string, len(l.tenants))
	for name, t := range l.tenants {
		names[t.number] = name
	}
	b := l.view.bucket(replaysBucket)
	l.each(replaysBucket, func(k, v []byte) {
		r, err := decodeReplay("", k, v)
		if err != nil {
			b.undecodable(k)
			return
		}
		if name := names[binary.BigEndian.Uint32(k)]; r.State == delivery.ReplayRunning && name != "" {
			l.replays[name] = &heldReplay{}
		}
	})
}
