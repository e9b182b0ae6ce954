package memory

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// replay is a replay, and until when somebody holds it.
type replay struct {
	delivery.Replay

	holder uuid.UUID
	until  time.Time
}

// CreateReplay adds a replay, unless one of the tenant is running.
func (s *Store) CreateReplay(_ context.Context, r *delivery.Replay, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.replays[r.Tenant]
	for _, other := range all {
		if other.ID == r.ID { // the call is repeated
			return nil
		}
		if other.State == delivery.ReplayRunning {
			return delivery.ErrReplayRunning
		}
	}
	all = append(all, &replay{Replay: copyReplay(r)})
	slices.SortFunc(all, func(a, b *replay) int { return bytes.Compare(b.ID[:], a.ID[:]) })
	s.replays[r.Tenant] = all[:min(len(all), delivery.MaxReplays)]
	return nil
}

// copyReplay copies what changes of a replay, which its caller may change afterwards.
func copyReplay(r *delivery.Replay) delivery.Replay {
	c := *r
	c.Sending, c.Apart = slices.Clone(r.Sending), slices.Clone(r.Apart)
	return c
}

// Replays reads a tenant's replays, newest first.
func (s *Store) Replays(_ context.Context, tenant string) ([]delivery.Replay, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []delivery.Replay
	for _, r := range s.replays[tenant] {
		all = append(all, copyReplay(&r.Replay))
	}
	return all, nil
}

// ClaimReplays has replays held that are running and that nobody holds.
func (s *Store) ClaimReplays(_ context.Context, _ int, holder uuid.UUID, lease time.Duration, most int) (claimed []delivery.Replay, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	for _, all := range s.replays {
		for _, r := range all {
			if r.State == delivery.ReplayRunning && !r.until.After(now) && len(claimed) < most {
				r.holder, r.until = holder, now.Add(lease)
				claimed = append(claimed, copyReplay(&r.Replay))
			}
		}
	}
	return claimed, nil
}

// SaveReplay writes how far a replay has come.
func (s *Store) SaveReplay(_ context.Context, saved *delivery.Replay, holder uuid.UUID, lease, _ time.Duration) (delivery.ReplayState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.replay(saved.Tenant, saved.ID)
	switch {
	case r == nil || r.holder != holder:
		return "", delivery.ErrReplayLost
	case r.State == delivery.ReplayDone:
		return r.State, nil // the call is repeated
	}
	state, finished := r.State, r.FinishedAt
	if r.Replay = copyReplay(saved); state == delivery.ReplayCanceled {
		r.State, r.FinishedAt = state, finished
	}
	r.until = s.Now().Add(lease)
	return r.State, nil
}

// CancelReplay cancels a replay that is running.
func (s *Store) CancelReplay(_ context.Context, tenant string, id uuid.UUID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.replay(tenant, id)
	switch {
	case r == nil:
		return delivery.ErrNotFound
	case r.State == delivery.ReplayRunning:
		r.State, r.FinishedAt = delivery.ReplayCanceled, s.Now().UTC().Truncate(time.Millisecond)
	}
	return nil
}

func (s *Store) replay(tenant string, id uuid.UUID) *replay {
	for _, r := range s.replays[tenant] {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// sweepReplays drops replays that are too old.
func (s *Store) sweepReplays(oldest time.Time) {
	for tenant, all := range s.replays {
		all = slices.DeleteFunc(all, func(r *replay) bool {
			return r.State != delivery.ReplayRunning && r.CreatedAt().Before(oldest)
		})
		if s.replays[tenant] = all; len(all) == 0 {
			delete(s.replays, tenant)
		}
	}
}
