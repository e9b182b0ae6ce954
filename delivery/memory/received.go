package memory

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

type receivedKey struct {
	message [16]byte
	guard   delivery.Guard
}

// receivedMark is the mark of a message.
type receivedMark struct {
	token uuid.UUID // uuid.Nil if the message has been received
	ends  time.Time
}

// MarkReceived marks a message that others have sent.
func (s *Store) MarkReceived(_ context.Context, mark *delivery.ReceivedMark) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	mine := receivedMark{mark.Token, now.Add(mark.For)}
	if mark.As == delivery.Receiving {
		var err error
		for _, guard := range mark.Guards {
			switch other := s.received[receivedKey{mark.Message, guard}]; {
			case !now.Before(other.ends):
			case other.token == uuid.Nil:
				return delivery.ErrReceived
			case other.token != mark.Token:
				err = delivery.ErrReceiving
			}
		}
		if err != nil {
			return err
		}
	}
	if mark.As == delivery.Received {
		mine.token = uuid.Nil
	}
	for _, guard := range mark.Guards {
		key := receivedKey{mark.Message, guard}
		old, marked := s.received[key]
		switch {
		case mark.As == delivery.NotReceived:
			if marked && old.token == mark.Token {
				delete(s.received, key)
			}
		case mark.As == delivery.Received && old.token == uuid.Nil && old.ends.After(mine.ends):
		default:
			s.received[key] = mine
		}
	}
	return nil
}
