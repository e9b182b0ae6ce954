package embedded

import (
	"encoding/binary"
	"slices"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

var _ delivery.Encrypter = (*Store)(nil)

// UseKeyring changes the keys, nil for none. An open store has all secrets in memory: Sweep
// encrypts them with the first of the keys, whatever they are encrypted with on the disk.
func (s *Store) UseKeyring(keys *encryption.Keyring) { s.encryption.Use(keys) }

// Encryption says what is encrypted.
func (s *Store) Encryption() delivery.Encryption { return s.encryption.Status() }

// encryptStep is how many webhooks one step looks at.
const encryptStep = 200

// encryptAgain looks at some webhooks, from a key of the bucket on, and encrypts the secrets
// that the first key has not encrypted. It returns where to go on. The records mean what they
// did, so that no version is raised.
func (s *Store) encryptAgain(keys *encryption.Keyring, from string) (next string, checked int, err error) {
	err = s.write(alone, func(t *txn) error {
		b := t.journaled(webhooksBucket)
		var stale [][]byte
		c := b.cursor()
		k, v := c.Seek([]byte(from))
		for checked = 0; k != nil && checked < encryptStep; k, v = c.Next() {
			checked++
			if _, encoded, err := cut(v[min(len(v), 4+16):]); err != nil || record.IsAsConfigured(encoded, keys) {
				continue
			}
			if _, _, err := decodeWebhook(v, keys); keys == nil && encryption.IsMissingKey(err) {
				_ = s.encryption.Missing(err) // the next Open would fail
				continue
			}
			stale = append(stale, slices.Clone(k))
		}
		next = string(k)
		return s.encryptWebhooks(t, b, keys, stale)
	})
	return next, checked, err
}

// putWebhook writes a webhook that is new or has changed.
func (s *Store) putWebhook(t *txn, b journaled, number uint32, of *tenant, w *delivery.Webhook) error {
	keys := s.encryption.Keys()
	if keys != nil {
		if err := s.raiseEncrypted(t); err != nil {
			return err
		}
	}
	return b.put(number4(number), encodeWebhook(of, w, keys))
}

// encryptWebhooks writes webhooks anew, as they are in memory.
func (s *Store) encryptWebhooks(t *txn, b journaled, keys *encryption.Keyring, numbers [][]byte) error {
	if keys == nil {
		return nil
	}
	if len(numbers) > 0 { // what there was before is in clear, or under a key that may be known
		if err := s.mustWipe(t); err != nil {
			return err
		}
	}
	for _, k := range numbers {
		w := s.state.byNumber[binary.BigEndian.Uint32(k)]
		if w == nil {
			continue
		}
		if err := b.put(k, encodeWebhook(w.tenant, w.record, keys)); err != nil {
			return err
		}
	}
	return s.raiseEncrypted(t)
}

// raiseEncrypted makes earlier versions refuse the file.
func (s *Store) raiseEncrypted(t *txn) error {
	meta := t.tx.Bucket(metaBucket)
	if s.single || binary.BigEndian.Uint32(meta.Get(schemaKey)) >= encryptedVersion {
		return nil
	}
	t.whole = true // the journal does not have it
	if err := meta.Put(schemaKey, number4(encryptedVersion)); err != nil {
		return err
	}
	return t.journaled(metaBucket).put(triedKey, number8(uint64(t.at.wall)))
}
