package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Salvage copies all that is whole in a damaged store, which no process may have open, into
// a new folder, and says what is not. The source does not change. Then the copy is opened
// once: deliveries whose state is lost are due again, what is left of deliveries whose event
// is lost is set aside, and so are packed entries that cannot be read, of which those records
// are written anew that others confirm.
func Salvage(ctx context.Context, from, to string) (report *Report, err error) {
	if err := isFree(to); err != nil {
		return nil, err
	}
	c, err := openCheck(ctx, from)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	report = &c.Report
	target := New(to)
	db, _, err := target.openFile()
	if err != nil {
		return nil, err
	}
	target.db = db
	err = target.setUp()
	if err == nil {
		s := &salvage{check: c, target: target, records: make(map[byte][]keyValue)}
		err = s.copy()
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", to, err)
	}
	return report, c.openOnce(ctx, to)
}

// isFree returns an error if a folder exists and is not empty.
func isFree(folder string) error {
	entries, err := os.ReadDir(folder)
	if err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty: name a new folder to copy to", folder)
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// openOnce opens the copy, and adds to the report what it says.
func (c *check) openOnce(ctx context.Context, folder string) error {
	s := New(folder, WithLogger(zap.New(&reporting{Report: &c.Report, LevelEnabler: zapcore.ErrorLevel})))
	s.keyless = true
	if err := s.Open(ctx); err != nil {
		return err
	}
	err := s.setPackedAside(ctx)
	if err == nil {
		err = s.restore(true)
	}
	return errors.Join(err, s.Close())
}

// setPackedAside sets aside all packed entries that cannot be read. Some wait for others, since
// only so many are noted at a time.
func (s *Store) setPackedAside(ctx context.Context) error {
	for seen := int64(-1); seen != s.damage.noting(); {
		seen = s.damage.noting()
		if err := s.write(reading, func(t *txn) error { // after which the writer sets them aside
			for _, number := range []byte{idsNumber, deliveriesNumber, logNumber, arrivedNumber} {
				if !t.has(allBuckets[number]) {
					continue
				}
				c := t.bucket(allBuckets[number]).cursor()
				k, _ := c.First()
				for k != nil && ctx.Err() == nil {
					k, _ = c.Next()
				}
			}
			return ctx.Err()
		}); err != nil {
			return err
		}
	}
	return nil
}

// salvage writes what was read into a new database.
type salvage struct {
	*check
	target  *Store
	records map[byte][]keyValue // that are not written yet
	bytes   int
	last    map[byte]uint64 // the buckets' numbers
	changes []*change
	err     error
}

type keyValue struct {
	key, sealed []byte
	whole       bool
}

// salvageBytes is how much one transaction writes.
const salvageBytes = 8 << 20

// copy copies the database, and then makes the changes of the journal.
func (s *salvage) copy() error {
	s.last = make(map[byte]uint64)
	s.take = func(bucket byte, key, sealed []byte) {
		s.add(bucket, keyValue{slices.Clone(key), slices.Clone(sealed), true})
	}
	s.unsealed = func(bucket byte, key, sealed []byte) {
		// The copy sets it aside when it is opened, and other records confirm what it has.
		if p := packingOf(bucket); p != nil && len(key) == p.key && len(sealed) <= maxEntry+sumSize {
			s.add(bucket, keyValue{slices.Clone(key), slices.Clone(sealed), false})
		}
	}
	s.sequence = func(bucket byte, n uint64) { s.last[bucket] = n }
	s.change = func(c *change) { s.changes = append(s.changes, &change{c.kind, c.bucket, c.key, c.value}) }
	s.all()
	s.write()
	if err := errors.Join(s.err, s.ctx.Err()); err != nil {
		return err
	}
	return s.target.db.Update(func(tx *bolt.Tx) error {
		for bucket, n := range s.last {
			if err := tx.Bucket(allBuckets[bucket]).SetSequence(n); err != nil {
				return err
			}
		}
		if s.encrypted {
			if err := tx.Bucket(metaBucket).Put(schemaKey, number4(encryptedVersion)); err != nil {
				return err
			}
		}
		v := newView(tx, &s.target.damage)
		for _, c := range s.changes {
			if err := c.replay(v); err != nil {
				return err
			}
		}
		return v.flush()
	})
}

// add adds a record to what is written next.
func (s *salvage) add(bucket byte, r keyValue) {
	s.records[bucket] = append(s.records[bucket], r)
	if s.bytes += len(r.key) + len(r.sealed); s.bytes >= salvageBytes {
		s.write()
	}
}

// write writes what was read.
func (s *salvage) write() {
	if s.err == nil {
		s.err = s.target.db.Update(func(tx *bolt.Tx) error {
			for bucket, records := range s.records {
				b := tx.Bucket(allBuckets[bucket])
				b.FillPercent = appendFill
				for _, r := range records {
					if !r.whole && b.Get(r.key) != nil {
						continue // there is a whole one
					}
					if err := b.Put(r.key, r.sealed); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	s.records, s.bytes = make(map[byte][]keyValue), 0
}

// reporting is a log whose lines go into a report.
type reporting struct {
	zapcore.LevelEnabler
	*Report
	fields []zapcore.Field
}

// With is for zap.
func (r *reporting) With(fields []zapcore.Field) zapcore.Core {
	return &reporting{r.LevelEnabler, r.Report, slices.Concat(r.fields, fields)}
}

// Check is for zap.
func (r *reporting) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if r.Enabled(e.Level) {
		return to.AddCore(e, r)
	}
	return to
}

// Write is for zap.
func (r *reporting) Write(e zapcore.Entry, fields []zapcore.Field) error {
	all := zapcore.NewMapObjectEncoder()
	var line strings.Builder
	line.WriteString("the copy: " + e.Message)
	separator := ": "
	for _, f := range slices.Concat(r.fields, fields) {
		f.AddTo(all)
		if value, isKey := all.Fields[f.Key].([]byte); isKey {
			fmt.Fprintf(&line, "%s%s %x", separator, f.Key, bytes.TrimSpace(value))
		} else {
			fmt.Fprintf(&line, "%s%s %v", separator, f.Key, all.Fields[f.Key])
		}
		separator = ", "
	}
	r.Damages = append(r.Damages, line.String())
	return nil
}

// Sync is for zap.
func (r *reporting) Sync() error { return nil }
