package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	bolt "go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// A file of layout 1 is upgraded when it is opened, in steps that are commits each. So it
// goes on after an interruption, and needs little memory and room:
//
//  1. The file is marked as one of layout 2 that is being upgraded, so that an earlier
//     version refuses it.
//  2. The records of each bucket move to a new one, sealed.
//  3. The new buckets take the place of the old ones, which are empty, and the changes in
//     the journal are made.
//  4. The journal is made anew, and the mark is removed.
var (
	upgradeKey    = []byte("upgrade") // in the bucket meta: the step (1)
	upgradeBucket = []byte("layout2") // has the new buckets
)

const (
	upgradeMoving  = 2
	upgradeJournal = 4
	upgradeBytes   = 4 << 20
	upgradeRecords = 10_000
)

// upgrade upgrades the database, or goes on with that.
func (s *Store) upgrade(ctx context.Context) error {
	s.log.Info("upgrading the webhooks' store so that its records have checksums", zap.String("folder", s.folder))
	if err := s.db.Update(beginUpgrade); err != nil {
		return err
	}
	for _, name := range allBuckets[1:] {
		for more := true; more; {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("%w: %w: %w", delivery.ErrUnavailable,
					delivery.Reason("the upgrade was interrupted, and goes on when the store is opened again"), err)
			}
			if err := s.db.Update(func(tx *bolt.Tx) (err error) {
				more, err = moveRecords(tx, name)
				return err
			}); err != nil {
				return err
			}
		}
	}
	var id uuid16
	var epoch uint64
	if err := s.db.Update(func(tx *bolt.Tx) (err error) {
		id, epoch, err = s.replaceBuckets(tx)
		return err
	}); err != nil {
		return err
	}
	if err := createJournal(s.folder, s.journalSize, id, epoch+1); err != nil {
		return fmt.Errorf("%w: %w", delivery.ErrUnavailable, err)
	}
	return s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(metaBucket).Delete(upgradeKey) })
}

// beginUpgrade does step 1.
func beginUpgrade(tx *bolt.Tx) error {
	meta := tx.Bucket(metaBucket)
	err := meta.Put(schemaKey, number4(schemaVersion))
	if err != nil || meta.Get(upgradeKey) != nil {
		return err
	}
	_, err = tx.CreateBucket(upgradeBucket)
	return errors.Join(err, meta.Put(upgradeKey, []byte{upgradeMoving}))
}

// moveRecords moves some records of a bucket, and reports whether there may be more.
func moveRecords(tx *bolt.Tx, name []byte) (more bool, err error) {
	all, old := tx.Bucket(upgradeBucket), tx.Bucket(name)
	if all == nil { // they are in place already
		return false, nil
	}
	to, err := all.CreateBucketIfNotExists(name)
	if err != nil || old == nil {
		return false, err
	}
	to.FillPercent = appendFill
	names := tenantNames(tx)
	number := bucketNumbers[string(name)]
	var keys [][]byte
	bytes := 0
	c := old.Cursor()
	for k, v := c.First(); k != nil && bytes < upgradeBytes && len(keys) < upgradeRecords; k, v = c.Next() {
		key := slices.Clone(k)
		if err := to.Put(key, sealOld(number, key, v, names)); err != nil {
			return false, err
		}
		keys = append(keys, key)
		bytes += len(k) + len(v)
	}
	for _, k := range keys {
		if err := old.Delete(k); err != nil {
			return false, err
		}
	}
	return len(keys) > 0, to.SetSequence(max(to.Sequence(), old.Sequence()))
}

// tenantNames are the names of the tenants by their numbers, wherever their records are.
func tenantNames(tx *bolt.Tx) map[uint32]string {
	names := make(map[uint32]string)
	add := func(k, v []byte) error {
		if len(v) >= 4 {
			names[binary.BigEndian.Uint32(v)] = string(k)
		}
		return nil
	}
	if all := tx.Bucket(upgradeBucket); all != nil && all.Bucket(tenantsBucket) != nil {
		_ = all.Bucket(tenantsBucket).ForEach(add)
	}
	if b := tx.Bucket(tenantsBucket); b != nil {
		_ = b.ForEach(add)
	}
	return names
}

// sealOld makes a record of layout 1 one of layout 2.
func sealOld(number byte, key, value []byte, tenants map[uint32]string) []byte {
	if number == webhooksNumber && len(value) >= 20 {
		name := tenants[binary.BigEndian.Uint32(value)]
		value = appendWebhook(slices.Clone(value[:20]), name, value[20:])
	}
	return seal(make([]byte, 0, len(value)+sumSize), number, key, value)
}

// replaceBuckets does step 3. It returns the id of the database and the epoch that it has.
func (s *Store) replaceBuckets(tx *bolt.Tx) (id uuid16, epoch uint64, err error) {
	meta := tx.Bucket(metaBucket)
	if meta.Get(upgradeKey)[0] == upgradeJournal { // it was done before
		known, err := readEpochs(tx)
		value, idErr := readMeta(tx, databaseID, len(id))
		copy(id[:], value)
		return id, known.committed, errors.Join(err, idErr)
	}
	copy(id[:], meta.Get(databaseID))
	if b := meta.Get(journalKey); len(b) == 8 {
		epoch = binary.BigEndian.Uint64(b)
	}
	names := tenantNames(tx)
	all := tx.Bucket(upgradeBucket)
	for _, name := range allBuckets[1:] {
		if tx.Bucket(name) != nil {
			if err := tx.DeleteBucket(name); err != nil {
				return id, 0, err
			}
		}
		if err := tx.MoveBucket(name, all, nil); err != nil {
			return id, 0, err
		}
	}
	if err := tx.DeleteBucket(upgradeBucket); err != nil {
		return id, 0, err
	}
	v := newView(tx, &s.damage)
	if err := s.replayOld(v, id, epoch+1, names); err != nil {
		return id, 0, err
	}
	noteNumbers(v)
	epoch++
	return id, epoch, errors.Join(
		v.flush(), writeMeta(tx, databaseID, id[:]), epochs{committed: epoch}.write(tx),
		meta.Put(upgradeKey, []byte{upgradeJournal}),
	)
}

// noteNumbers notes which numbers of tenants and event types were given out.
func noteNumbers(v *view) {
	for _, name := range [][]byte{tenantsBucket, typesBucket} {
		b := v.unjournaled(name)
		last := b.lastNumber()
		c := b.cursor()
		for k, value := c.First(); k != nil; k, value = c.Next() {
			if len(value) >= 4 {
				last = max(last, uint64(binary.BigEndian.Uint32(value)))
			}
		}
		_ = b.applyNumber(last) // the transaction is writable
	}
}

// The head of a record in a journal of layout 1: epoch (8), length of the changes (4),
// CRC-32C of the previous record's checksum, the head so far and the changes (4). The file
// had no head, and what followed a record that was not whole did not count.
const oldRecordHead = 8 + 4 + 4

// replayOld makes the changes of a journal of layout 1.
func (s *Store) replayOld(v *view, id uuid16, epoch uint64, tenants map[uint32]string) error {
	content, err := os.ReadFile(filepath.Join(s.folder, journalName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	sum := crc32.Checksum(id[:], castagnoli)
	for len(content) >= oldRecordHead {
		head, rest := content[:oldRecordHead], content[oldRecordHead:]
		length := uint64(binary.BigEndian.Uint32(head[8:]))
		if binary.BigEndian.Uint64(head) != epoch || length == 0 || length > uint64(len(rest)) {
			return nil
		}
		changes := rest[:length]
		sum = crc32.Update(crc32.Update(sum, castagnoli, head[:12]), castagnoli, changes)
		if sum != binary.BigEndian.Uint32(head[12:]) {
			return nil
		}
		content = rest[length:]
		for len(changes) > 0 {
			var c change
			if c, changes, err = cutChange(changes); err != nil {
				return err
			}
			if c.kind == changePut {
				if c.bucket == tenantsNumber && len(c.value) >= 4 {
					tenants[binary.BigEndian.Uint32(c.value)] = string(c.key)
				}
				c.value = sealOld(c.bucket, c.key, c.value, tenants)
			}
			if err := c.replay(v); err != nil {
				return err
			}
		}
	}
	return nil
}
