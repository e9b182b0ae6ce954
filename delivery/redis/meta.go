package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// schemaVersion is the version of the keys and records that this package writes.
const schemaVersion = 3

// isEarlierSchema reports whether a schema is one before, which this package reads, too: keys.go
// says where its records are, and what they lack.
func isEarlierSchema(schema string) bool { return schema == "1" || schema == "2" }

// encryptedSchema is the version once secrets may be encrypted: versions that know no keys would send
// without signatures.
const encryptedSchema = "4"

// schema is the version to record.
func (s *Store) schema() string {
	if s.encryption.Keys() != nil {
		return encryptedSchema
	}
	return strconv.Itoa(schemaVersion)
}

// The fields of meta.
const (
	partitionsField = "partitions"
	schemaField     = "schema"
	positionsField  = "positions" // the key with which positions of followers are sealed
)

// isRecorded reports whether what the first Open recorded is all there.
func isRecorded(meta map[string]string) bool {
	return meta[partitionsField] != "" && meta[schemaField] != ""
}

// recordedPartitions reads what the first Open recorded, or records it. It writes nothing
// if everything is recorded, so that a full Redis can be opened. It also reports whether an
// earlier version recorded it.
func (s *Store) recordedPartitions(ctx context.Context) (n int, earlier bool, err error) {
	meta, err := s.client().HGetAll(ctx, s.keys.meta()).Result()
	if isWrongType(err) {
		return 0, false, fmt.Errorf("the key %s in Redis is not a hash: another program wrote it", s.keys.meta())
	}
	if err != nil {
		return 0, false, s.wrap(err)
	}
	if !isRecorded(meta) {
		first, err := s.firstPartitions(ctx)
		if err != nil {
			return 0, false, err
		}
		// Several processes may do this at the same time: the first one counts.
		if meta, err = s.record(ctx, first); err != nil {
			return 0, false, err
		}
	}
	earlier = isEarlierSchema(meta[schemaField])
	if !earlier && meta[schemaField] != strconv.Itoa(schemaVersion) && meta[schemaField] != encryptedSchema {
		return 0, false, fmt.Errorf("the data under %q in Redis has schema %s; this version knows schema %d", s.options.KeyPrefix, meta[schemaField], schemaVersion)
	}
	n, err = strconv.Atoi(meta[partitionsField])
	if err != nil || n < 1 || n > maxPartitions {
		return 0, false, fmt.Errorf("the key %s in Redis holds %q for partitions", s.keys.meta(), meta[partitionsField])
	}
	return n, earlier, s.checkPartitions(n)
}

// raiseSchema has earlier versions refuse the data, which they would not find all of, or misread.
// On a full Redis that waits for the next Open or Sweep.
func (s *Store) raiseSchema(ctx context.Context) error {
	err := s.wrap(s.client().HSet(ctx, s.keys.meta(), schemaField, s.schema()).Err())
	if errors.Is(err, delivery.ErrFull) {
		return nil
	}
	return err
}

// record writes what is not recorded yet, and reads everything.
func (s *Store) record(ctx context.Context, partitions int) (map[string]string, error) {
	pipe := s.client().Pipeline()
	pipe.HSetNX(ctx, s.keys.meta(), partitionsField, partitions)
	pipe.HSetNX(ctx, s.keys.meta(), schemaField, s.schema())
	all := pipe.HGetAll(ctx, s.keys.meta())
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, s.wrap(err)
	}
	return all.Val(), nil
}

// firstPartitions is the number of partitions to record. If the record was lost and the
// number is wrong, tenants would not find their data.
func (s *Store) firstPartitions(ctx context.Context) (int, error) {
	first := int(s.wanted.Load())
	configured := first > 0
	switch {
	case configured:
	case s.options.cluster():
		first = defaultClusterPartitions
	default:
		first = defaultPartitions
	}
	if first > maxPartitions {
		return 0, fmt.Errorf("partitions must be 1 to %d, not %d", maxPartitions, first)
	}
	used, err := s.usedPartitions(ctx)
	if err != nil {
		return 0, err
	}
	if used > 0 && !configured || used > first {
		return 0, fmt.Errorf("the key %s in Redis was lost, and there is data of %d partitions or more; set partitions to the number that there was", s.keys.meta(), used)
	}
	return first, nil
}

// usedPartitions is one more than the highest number of a partition that has webhooks.
func (s *Store) usedPartitions(ctx context.Context) (used int, err error) {
	pipe := s.client().Pipeline()
	found := make([]*redis.IntCmd, maxPartitions)
	for i := range found {
		found[i] = pipe.Exists(ctx, stateKey(s.keys.base(i)))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, s.wrap(err)
	}
	for i := range found {
		if found[i].Val() > 0 {
			used = i + 1
		}
	}
	return used, nil
}

// positionKey reads the key of followers' positions, or makes it. On a full Redis, it is good
// for this process alone.
func (s *Store) positionKey(ctx context.Context) ([]byte, error) {
	key, err := s.client().HGet(ctx, s.keys.meta(), positionsField).Bytes()
	if !errors.Is(err, redis.Nil) {
		return key, s.wrap(err)
	}
	made := make([]byte, 32)
	_, _ = rand.Read(made) // which cannot fail
	pipe := s.client().Pipeline()
	pipe.HSetNX(ctx, s.keys.meta(), positionsField, made)
	kept := pipe.HGet(ctx, s.keys.meta(), positionsField)
	_, err = pipe.Exec(ctx)
	if err = s.wrap(err); errors.Is(err, delivery.ErrFull) {
		return made, nil
	}
	if err != nil {
		return nil, err
	}
	return kept.Bytes()
}

// keepRecord records again what the first Open recorded, if it was lost, and that this version
// writes here, if that could not be recorded or an earlier version recorded something else.
func (s *Store) keepRecord(ctx context.Context, partitions int) error {
	meta, err := s.client().HGetAll(ctx, s.keys.meta()).Result()
	if err != nil {
		return s.wrap(err)
	}
	if !isRecorded(meta) { // on a full Redis, writing would be refused
		if meta, err = s.record(ctx, partitions); err != nil {
			return err
		}
	}
	if n := meta[partitionsField]; n != strconv.Itoa(partitions) && s.troubles.news("partitions "+n) {
		s.log.Error("another number of partitions is recorded in Redis than this process uses: tenants have data in two places; restart it",
			zap.String("recorded", n), zap.Int("used", partitions))
	}
	if isEarlierSchema(meta[schemaField]) {
		return s.raiseSchema(ctx)
	}
	return nil
}

// checkPartitions returns an error if another number of partitions is configured.
func (s *Store) checkPartitions(n int) error {
	if want := int(s.wanted.Load()); want != 0 && want != n {
		return fmt.Errorf("the data under %q in Redis has %d partitions, not %d; that cannot be changed, but you can start with an empty store under another key_prefix", s.options.KeyPrefix, n, want)
	}
	return nil
}
