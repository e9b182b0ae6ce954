package encrypting

import (
	"fmt"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// Event is an event as it is stored: with an encrypted payload if that is asked for.
func (s *State) Event(tenant string, e *delivery.AcceptEvent) *delivery.AcceptEvent {
	keys := s.Keys()
	if !keys.EncryptsPayloads() {
		return e
	}
	stored := *e
	stored.Payload = keys.Encrypt(nil, encryption.Place{Kind: encryption.Event, Tenant: tenant, ID: e.ID}, e.Payload)
	return &stored
}

// DecryptEvent decrypts the payload of an event that was read.
func (s *State) DecryptEvent(e *delivery.Event) (err error) {
	if e.Erased {
		return nil
	}
	e.Payload, err = s.decrypt(encryption.Place{Kind: encryption.Event, Tenant: e.Tenant, ID: e.ID}, e.Payload)
	return err
}

// Request is a row of the log as it is stored: with an encrypted body if that is asked for.
func (s *State) Request(r *delivery.Request) *delivery.Request {
	keys := s.Keys()
	if !keys.EncryptsPayloads() || r.ResponseBody == "" {
		return r
	}
	stored := *r
	stored.ResponseBody = string(keys.Encrypt(nil, bodyOf(r), []byte(r.ResponseBody)))
	return &stored
}

// DecryptBody decrypts the body of a row that was read.
func (s *State) DecryptBody(r *delivery.Request) error {
	if r.ResponseBody == "" {
		return nil
	}
	body, err := s.decrypt(bodyOf(r), []byte(r.ResponseBody))
	r.ResponseBody = string(body)
	return err
}

func bodyOf(r *delivery.Request) encryption.Place {
	return encryption.Place{Kind: encryption.Body, Tenant: r.Tenant, ID: r.ID}
}

// decrypt decrypts a value. The error says whether its key is missing, or it is unreadable.
func (s *State) decrypt(at encryption.Place, value []byte) ([]byte, error) {
	plain, err := s.Keys().Decrypt(at, value)
	switch {
	case encryption.IsMissingKey(err):
		return nil, s.Missing(err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", record.ErrUnreadable, err)
	}
	return plain, nil
}
