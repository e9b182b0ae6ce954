package redis

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

var (
	createReplayScript = loadScript("create_replay")
	claimReplaysScript = loadScript("claim_replays")
	saveReplayScript   = loadScript("save_replay")
	cancelReplayScript = loadScript("cancel_replay")
)

// replayHead is what precedes the record of a replay: its state, when it ended, and its holder.
const replayHead = 1 + 8 + len(uuid.UUID{})

// replayStates are the states by the first bytes of replays.
var replayStates = map[string]delivery.ReplayState{
	"r": delivery.ReplayRunning, "d": delivery.ReplayDone, "c": delivery.ReplayCanceled,
}

// CreateReplay adds a replay, unless one of the tenant is running.
func (s *Store) CreateReplay(ctx context.Context, r *delivery.Replay, retention time.Duration) error {
	p, err := s.at(r.Tenant)
	if err != nil {
		return err
	}
	added, err := s.runOnReplay(ctx, createReplayScript, p.base, r.Tenant, r.ID[:], record.EncodeReplay(r), delivery.MaxReplays, retention.Milliseconds())
	if err == nil && added == int64(0) {
		err = delivery.ErrReplayRunning
	}
	return err
}

// Replays reads a tenant's replays, newest first.
func (s *Store) Replays(ctx context.Context, tenant string) (all []delivery.Replay, err error) {
	p, err := s.at(tenant)
	if err != nil {
		return nil, err
	}
	key := replaysKey(p.base, tenant)
	found := s.client().HGetAll(ctx, key)
	if err := s.mend(ctx, p.base, key, found.Err()); err != nil {
		return nil, err
	}
	for id, value := range found.Val() {
		if len(id) != len(uuid.UUID{}) {
			continue
		}
		if r, ok := s.decodeReplay(ctx, p.base, tenant, id, value); ok {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b delivery.Replay) int { return strings.Compare(string(b.ID[:]), string(a.ID[:])) })
	return all, nil
}

// ClaimReplays has replays held that are running and that nobody holds.
func (s *Store) ClaimReplays(ctx context.Context, partition int, holder uuid.UUID, lease time.Duration, most int) (claimed []delivery.Replay, err error) {
	p, err := s.number(partition)
	if err != nil {
		return nil, err
	}
	reply, err := s.run(ctx, claimReplaysScript, p.base, holder[:], lease.Milliseconds(), most)
	if err != nil {
		return nil, err
	}
	if len(reply)%3 != 1 {
		return nil, errUnknownReply
	}
	for one := reply[1:]; len(one) > 0; one = one[3:] {
		tenant, _ := one[0].(string)
		id, _ := one[1].(string)
		value, _ := one[2].(string)
		if r, ok := s.decodeReplay(ctx, p.base, tenant, id, value); ok {
			claimed = append(claimed, r)
		}
	}
	return claimed, nil
}

// SaveReplay writes how far a replay has come.
func (s *Store) SaveReplay(ctx context.Context, r *delivery.Replay, holder uuid.UUID, lease, retention time.Duration) (delivery.ReplayState, error) {
	p, err := s.at(r.Tenant)
	if err != nil {
		return "", err
	}
	state, ended := "r", int64(0)
	if r.State == delivery.ReplayDone {
		state, ended = "d", r.FinishedAt.UnixMilli()
	}
	now, err := s.runOnReplay(ctx, saveReplayScript, p.base,
		r.Tenant, r.ID[:], holder[:], state, ended, record.EncodeReplay(r), lease.Milliseconds(), retention.Milliseconds())
	if err != nil {
		return "", err
	}
	if now == "" {
		return "", delivery.ErrReplayLost
	}
	mark, _ := now.(string)
	return replayStates[mark], nil
}

// CancelReplay cancels a replay that is running.
func (s *Store) CancelReplay(ctx context.Context, tenant string, id uuid.UUID) error {
	p, err := s.at(tenant)
	if err != nil {
		return err
	}
	known, err := s.runOnReplay(ctx, cancelReplayScript, p.base, tenant, id[:])
	if err == nil && known == int64(0) {
		err = delivery.ErrNotFound
	}
	return err
}

// runOnReplay runs a script that changes one replay, and returns what it says of it.
func (s *Store) runOnReplay(ctx context.Context, name *script, base string, args ...any) (any, error) {
	reply, err := s.run(ctx, name, base, args...)
	switch {
	case err != nil:
		return nil, err
	case len(reply) != 2:
		return nil, errUnknownReply
	}
	return reply[1], nil
}

// decodeReplay decodes a replay. One that cannot be read is set aside.
func (s *Store) decodeReplay(ctx context.Context, base, tenant, id, value string) (r delivery.Replay, ok bool) {
	err := record.ErrUnreadable
	if len(value) >= replayHead && replayStates[value[:1]] != "" {
		r, err = record.DecodeReplay([]byte(value[replayHead:]))
	}
	if err != nil || len(id) != len(r.ID) {
		s.setAside(ctx, base, unreadable{key: replaysKey(base, tenant), field: id, value: value, why: "no replay"})
		return r, false
	}
	r.Tenant, r.ID, r.State = tenant, uuid.UUID([]byte(id)), replayStates[value[:1]]
	if ms := int64(binary.BigEndian.Uint64([]byte(value[1:9]))); ms != 0 {
		r.FinishedAt = record.Time(ms).UTC()
	}
	return r, true
}
