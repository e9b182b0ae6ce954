// Package encrypting is what stores have in common that encrypt: the keys in force, and the pass
// that encrypts anew what was stored before.
package encrypting

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
)

// passEvery is how often a pass is made over all webhooks: another process may have stored one
// under another key meanwhile.
const passEvery = time.Hour

// State has a store's keys. The zero value has none.
type State struct {
	Log *zap.Logger

	keys atomic.Pointer[encryption.Keyring]

	mu      sync.Mutex
	missing error // a value was met without its key
	had     bool  // there were keys, so that something may be encrypted
	pass    pass
}

// pass is the pass that is under way, or ended last.
type pass struct {
	keys       *encryption.Keyring
	from       string // where it goes on, "" at the beginning
	checked    int64
	incomplete bool // something was met without its key
	ended      time.Time
	done       bool // one has ended with these keys, and the first has encrypted all
}

// Use puts keys in force, nil for none.
func (s *State) Use(keys *encryption.Keyring) {
	if s.keys.Load().Equal(keys) { // which may have decrypted much already
		return
	}
	s.keys.Store(keys)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.had = s.had || keys != nil
	s.missing, s.pass = nil, pass{}
}

// Keys are the keys in force, nil for none.
func (s *State) Keys() *encryption.Keyring { return s.keys.Load() }

// Status says what is encrypted, for health.
func (s *State) Status() delivery.Encryption {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := delivery.Encryption{Done: s.pass.done, Checked: s.pass.checked, Err: s.missing}
	if keys := s.Keys(); keys != nil {
		status.KeyID = keys.First().String()
	}
	return status
}

// Missing notes that a value cannot be decrypted, since its key is missing, and says so once in
// the log. It returns the error for whoever asked for the value, which stays as it is: once the
// key is configured, it can be decrypted.
func (s *State) Missing(err error) error {
	err = fmt.Errorf("%w: %w", delivery.ErrUnavailable, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pass.incomplete = true
	if s.missing == nil {
		s.Log.Error("a record in the store is encrypted with a key that is not configured: nothing is sent that needs it", zap.Error(err))
	}
	s.missing = err
	return err
}

// Step does a step of the pass, if one is due. After all keys were taken away, that only finds
// what cannot be decrypted any more. The step begins at a place of the store's, "" for
// the first, and returns the next one, "" at the end, and how many webhooks it has looked at.
func (s *State) Step(step func(keys *encryption.Keyring, from string) (next string, checked int, err error)) (more bool, err error) {
	keys := s.Keys()
	s.mu.Lock()
	p := &s.pass
	if !s.had || p.from == "" && !p.ended.IsZero() && time.Since(p.ended) < passEvery {
		s.mu.Unlock()
		return false, nil
	}
	if p.from == "" {
		p.keys, p.checked, p.incomplete = keys, 0, false
	}
	from := p.from
	s.mu.Unlock()
	next, checked, err := step(keys, from)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || p.keys != keys || s.Keys() != keys { // or the keys were changed meanwhile
		return err == nil, err
	}
	p.checked += int64(checked)
	if p.from = next; next != "" {
		return true, nil
	}
	p.ended, p.done = time.Now(), !p.incomplete
	if p.done {
		s.missing = nil
	}
	return false, nil
}
