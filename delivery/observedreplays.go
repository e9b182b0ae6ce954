package delivery

import (
	"context"
	"time"

	"github.com/google/uuid"
)

func (s *observedStore) AddDelivery(ctx context.Context, ref WebhookRef, event uuid.UUID) (*Event, bool, error) {
	ev, added, err := s.Store.AddDelivery(ctx, ref, event)
	s.note(ctx, opAddDelivery, err)
	return ev, added, err
}

func (s *observedStore) CreateReplay(ctx context.Context, r *Replay, retention time.Duration) error {
	err := s.Store.CreateReplay(ctx, r, retention)
	s.note(ctx, opCreateReplay, err)
	return err
}

func (s *observedStore) Replays(ctx context.Context, tenant string) ([]Replay, error) {
	all, err := s.Store.Replays(ctx, tenant)
	s.note(ctx, opReplays, err)
	return all, err
}

func (s *observedStore) ClaimReplays(ctx context.Context, partition int, holder uuid.UUID, lease time.Duration, most int) ([]Replay, error) {
	all, err := s.Store.ClaimReplays(ctx, partition, holder, lease, most)
	s.note(ctx, opClaimReplays, err)
	return all, err
}

func (s *observedStore) SaveReplay(ctx context.Context, r *Replay, holder uuid.UUID, lease, retention time.Duration) (ReplayState, error) {
	state, err := s.Store.SaveReplay(ctx, r, holder, lease, retention)
	s.note(ctx, opSaveReplay, err)
	return state, err
}

func (s *observedStore) CancelReplay(ctx context.Context, tenant string, id uuid.UUID) error {
	err := s.Store.CancelReplay(ctx, tenant, id)
	s.note(ctx, opCancelReplay, err)
	return err
}
