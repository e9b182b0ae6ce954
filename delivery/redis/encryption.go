package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

var encryptAgainScript = loadScript("encrypt_again")

var _ delivery.Encrypter = (*Store)(nil)

// Encryption says what is encrypted.
func (s *Store) Encryption() delivery.Encryption { return s.encryption.Status() }

// encryptStep is how many webhooks one step looks at, or some more.
const encryptStep = 100

// keyPatience is how long the next claim waits if a key is missing. What was claimed is left
// alone until its lease ends, and there may be more of it.
const keyPatience = time.Second

// storedWebhook is a webhook as it is stored.
type storedWebhook struct{ tenant, id, record string }

// storedWebhooks reads some webhooks of a partition. It goes on from a cursor, 0 for the first,
// and returns the next one, 0 at the end.
func (s *Store) storedWebhooks(ctx context.Context, p *partition, cursor uint64) (found []storedWebhook, next uint64, err error) {
	states, next, err := s.client().HScan(ctx, stateKey(p.base), cursor, "", encryptStep).Result()
	if err != nil {
		return nil, 0, s.mend(ctx, p.base, stateKey(p.base), err)
	}
	if len(states) == 0 {
		return nil, next, nil
	}
	records := make([]*redis.StringCmd, len(states)/2)
	pipe := s.client().Pipeline()
	for i := range records {
		tenant, id, _ := strings.Cut(states[2*i], ":")
		found = append(found, storedWebhook{tenant: tenant, id: id})
		records[i] = pipe.HGet(ctx, webhooksKey(p.base, tenant), id)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for i, r := range records {
		if err := r.Err(); err != nil && !errors.Is(err, redis.Nil) && !isWrongType(err) {
			return nil, 0, s.wrap(err)
		}
		found[i].record = r.Val()
	}
	return found, next, nil
}

// checkSecrets returns an error if a secret is encrypted with a key that is not there.
func (s *Store) checkSecrets(ctx context.Context, parts []*partition) error {
	keys := s.encryption.Keys()
	schema, err := s.client().HGet(ctx, s.keys.meta(), schemaField).Result()
	if err != nil {
		return s.wrap(err)
	}
	if keys == nil && schema != encryptedSchema {
		return nil // nobody ever had a key
	}
	for _, p := range parts {
		for cursor, more := uint64(0), true; more; more = cursor != 0 {
			var found []storedWebhook
			if found, cursor, err = s.storedWebhooks(ctx, p, cursor); err != nil {
				return err
			}
			for _, w := range found {
				if _, err := decodeWebhook(w.tenant, w.id, w.record, keys); encryption.IsMissingKey(err) {
					return fmt.Errorf("%w: %w", delivery.ErrUnavailable, err)
				}
			}
		}
	}
	return nil
}

// encryptAgain looks at some webhooks, from a place on, and encrypts the secrets that the first
// key has not encrypted. It returns where to go on. Several processes may do the same: what one
// has changed the others leave.
func (s *Store) encryptAgain(ctx context.Context, keys *encryption.Keyring, from string) (next string, checked int, err error) {
	parts := s.partitions.Load()
	if parts == nil {
		return "", 0, errNotOpen
	}
	if from == "" && keys != nil {
		if err := s.raiseEncrypted(ctx); err != nil {
			return "", 0, err
		}
	}
	number, cursor := parsePlace(from)
	if number >= len(*parts) {
		return "", 0, nil
	}
	p := (*parts)[number]
	found, after, err := s.storedWebhooks(ctx, p, cursor)
	if err != nil {
		return "", 0, err
	}
	args := s.encryptedArgs(keys, found)
	if len(args) > 0 {
		if _, err := s.run(ctx, encryptAgainScript, p.base, args...); err != nil {
			return "", 0, err
		}
	}
	switch {
	case after != 0:
		next = formatPlace(number, after)
	case number+1 < len(*parts):
		next = formatPlace(number+1, 0)
	}
	return next, len(found), nil
}

// encryptedArgs makes the arguments of encrypt_again.lua.
func (s *Store) encryptedArgs(keys *encryption.Keyring, found []storedWebhook) (args []any) {
	for _, w := range found {
		if record.IsAsConfigured([]byte(w.record), keys) {
			continue
		}
		webhook, err := decodeWebhook(w.tenant, w.id, w.record, keys)
		switch {
		case encryption.IsMissingKey(err):
			_ = s.encryption.Missing(err)
		case err == nil: // else whoever needs it sets it aside
			args = append(args, w.tenant, w.id, w.record, record.EncodeWebhook(webhook, keys))
		}
	}
	return args
}

// A place of a pass is the number of a partition and a cursor.
func formatPlace(partition int, cursor uint64) string {
	return strconv.Itoa(partition) + " " + strconv.FormatUint(cursor, 10)
}

func parsePlace(place string) (partition int, cursor uint64) {
	number, rest, _ := strings.Cut(place, " ")
	partition, _ = strconv.Atoi(number)
	cursor, _ = strconv.ParseUint(rest, 10, 64)
	return partition, cursor
}

// raiseEncrypted makes earlier versions refuse the data.
func (s *Store) raiseEncrypted(ctx context.Context) error {
	return s.wrap(s.client().HSet(ctx, s.keys.meta(), schemaField, encryptedSchema).Err())
}
