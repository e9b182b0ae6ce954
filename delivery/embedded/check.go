package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// Report is what was found in a store.
type Report struct {
	// Damages says what is damaged, a line each.
	Damages []string
	// Records is how many records are whole, those in the journal included.
	Records int
}

// Check reads all of a store's files, which no process may have open, and says what is
// damaged. It changes nothing. An error means that nothing could be checked.
func Check(ctx context.Context, folder string) (*Report, error) {
	c, err := openCheck(ctx, folder)
	if err != nil {
		return nil, err
	}
	c.all()
	if len(c.Damages) == 0 {
		c.freePages()
	}
	return &c.Report, errors.Join(ctx.Err(), c.close())
}

// check is one Check, or the reading part of Salvage.
type check struct {
	Report
	ctx    context.Context
	folder string
	lock   *bolt.DB // nil if bbolt cannot open the file
	image  *image   // nil if there is none
	id     *uuid16  // of the database, nil if it cannot be read
	known  epochs
	// encrypted says that there may be secrets that earlier versions must not misread.
	encrypted bool

	buckets map[string]imageBucket
	// take gets each record that is whole, unsealed each whose checksum is wrong, and change
	// each change in the journal.
	take     func(bucket byte, key, sealed []byte)
	unsealed func(bucket byte, key, sealed []byte)
	sequence func(bucket byte, n uint64)
	change   func(c *change)
}

// openCheck opens the files of a store. It fails if a process has it open.
func openCheck(ctx context.Context, folder string) (*check, error) {
	c := &check{
		ctx: ctx, folder: folder,
		take: func(byte, []byte, []byte) {}, unsealed: func(byte, []byte, []byte) {}, sequence: func(byte, uint64) {}, change: func(*change) {},
	}
	path := filepath.Join(folder, fileName)
	_, err := os.Stat(path)
	_, journalErr := os.Stat(filepath.Join(folder, journalName))
	if errors.Is(err, fs.ErrNotExist) && errors.Is(journalErr, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no store in %s", folder)
	}
	if errors.Is(err, fs.ErrNotExist) {
		c.damaged(fileName, "the file is missing")
		return c, nil
	}
	err = c.open(path)
	if err == nil && len(c.image.metas) > 0 {
		c.buckets = c.image.buckets()
		err = c.meta(c.buckets["meta"])
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *check) open(path string) error {
	var file *os.File
	err := guarded(func() (err error) {
		c.lock, err = bolt.Open(path, 0, readOnly(&file))
		return err
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("another process has %s open: stop it first", path)
	case errors.Is(err, errDamaged) && file != nil:
		_ = abandonFile(file) // nothing was written
	}
	c.image, err = openImage(path, func(line string) { c.damaged(fileName, line) })
	if errors.Is(err, errNoMeta) {
		c.damaged(fileName, err.Error())
		return nil
	}
	return err
}

func (c *check) close() (err error) {
	if c.lock != nil {
		err = c.lock.Close()
	}
	if c.image != nil {
		err = errors.Join(err, c.image.close())
	}
	return err
}

func (c *check) damaged(file, what string) {
	c.Damages = append(c.Damages, file+": "+what)
}

// all reads everything.
func (c *check) all() {
	for number, name := range allBuckets {
		if b, ok := c.buckets[string(name)]; ok && number != int(metaNumber) {
			c.sequence(byte(number), b.sequence)
			c.bucket(byte(number), string(name), b)
		}
	}
	c.journal()
}

// meta reads what the database says of itself. It is an error if its records have no
// checksums yet.
func (c *check) meta(b imageBucket) error {
	values := make(map[string][]byte)
	c.image.each("meta", b, func(k, v []byte) { values[string(k)] = append([]byte{}, v...) })
	schema := values[string(schemaKey)]
	c.encrypted = bytes.Equal(schema, number4(encryptedVersion))
	isOld := bytes.Equal(schema, number4(1)) && len(values[string(journalKey)]) <= 8
	switch {
	case isOld, values[string(upgradeKey)] != nil:
		return fmt.Errorf("the store in %s was written by an earlier version, whose records have no checksums: start Caddy with it once, which upgrades it", c.folder)
	case !bytes.Equal(schema, number4(2)) && !bytes.Equal(schema, number4(schemaVersion)) && !bytes.Equal(schema, number4(encryptedVersion)):
		c.damaged(fileName, fmt.Sprintf("it says that it has the layout %x, and not %x", schema, number4(schemaVersion)))
	}
	if id, ok := unseal(metaNumber, databaseID, values[string(databaseID)]); ok && len(id) == len(uuid16{}) {
		c.id = new(uuid16)
		copy(c.id[:], id)
	} else {
		c.damaged(fileName, "a record cannot be read: its id in the bucket meta")
	}
	if v, ok := unseal(metaNumber, journalKey, values[string(journalKey)]); ok && len(v) == 16 {
		c.known = epochs{binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:])}
	} else {
		c.damaged(fileName, "a record cannot be read: what it knows of the journal, in the bucket meta")
	}
	return nil
}

// bucket reads a bucket.
func (c *check) bucket(number byte, name string, b imageBucket) {
	c.image.each(name, b, func(k, v []byte) {
		if c.ctx.Err() != nil {
			return
		}
		value, ok := unseal(number, k, v)
		if !ok || !isReadable(number, k, value) {
			r := damagedRecord{bucket: number, key: string(k)}
			c.damaged(fileName, "a record cannot be read: "+r.String())
			if !ok {
				c.unsealed(number, k, v)
			}
			return
		}
		c.Records++
		c.take(number, k, v)
	})
}

// isReadable reports whether a record can be decoded.
func isReadable(number byte, k, value []byte) bool {
	var err error
	switch number {
	case webhooksNumber:
		if _, _, err = decodeWebhook(value, nil); encryption.IsMissingKey(err) {
			err = nil // nobody needs keys to check a store
		}
	case eventsNumber:
		_, err = decodeEvent("", value)
	case pendingNumber:
		_, err = record.DecodeDelivery(value)
	case idsNumber:
		return isReadableID(k, value)
	case deliveriesNumber:
		return packedDeliveries.isWhole(k, value)
	case logNumber:
		return packedLog.isWhole(k, value)
	case arrivedNumber:
		return packedArrived.isWhole(k, value)
	case auditNumber:
		_, err = decodeAudit("", k, value)
	case replaysNumber:
		_, err = decodeReplay("", k, value)
	case requestsNumber:
		if len(k) != 16 {
			return false
		}
		if _, err = decodeRowHead(value); err == nil {
			_, _, err = decodeRow(delivery.WebhookRef{}, uuid.UUID(k), value)
		}
	}
	return err == nil
}

// journal reads the journal.
func (c *check) journal() {
	path := filepath.Join(c.folder, journalName)
	content, err := os.ReadFile(path)
	if err != nil {
		what := err.Error()
		if errors.Is(err, fs.ErrNotExist) {
			what = "the file is missing: what it had is lost"
		}
		c.damaged(journalName, what)
		return
	}
	head, ok := decodeFileHead(content)
	j := &journal{path: path, epoch: c.known.committed + 1}
	switch {
	case c.id != nil:
		j.id = *c.id
		if file, what := j.isOwn(head, ok, int64(len(content)), c.known); what != "" {
			c.damaged(file, what)
		}
		if ok && head.id != j.id {
			return
		}
	case !ok:
		c.damaged(journalName, "its head is damaged, and there is no database to tell what belongs to it")
		return
	}
	if ok {
		j.id, j.epoch = head.id, head.epoch
	}
	if j.epoch <= c.known.committed {
		return // the database has all of it
	}
	j.seed = crc32.Checksum(j.id[:], castagnoli)
	c.records(j, content)
}

// records reads the journal's records, also those behind a damaged one.
func (c *check) records(j *journal, content []byte) {
	at := int64(journalStart)
	for {
		changes, ok := j.record(content, at)
		if !ok {
			behind := j.headBehind(content, at)
			if behind < 0 {
				return
			}
			c.damaged(journalName, fmt.Sprintf("the records from byte %d to %d are damaged: what they had is lost", at, behind))
			at = behind
			continue
		}
		at += recordHead + int64(len(changes))
		for len(changes) > 0 {
			var one change
			var err error
			if one, changes, err = cutChange(changes); err != nil {
				c.damaged(journalName, fmt.Sprintf("a record before byte %d cannot be read", at))
				break
			}
			c.Records++
			c.change(&one)
		}
		if len(changes) == 0 && at >= int64(len(content)) {
			return
		}
	}
}

// freePages has bbolt check which pages are free, once all others are known to be whole.
func (c *check) freePages() {
	if c.lock == nil {
		return
	}
	if err := guarded(func() error {
		return c.lock.View(func(tx *bolt.Tx) error {
			for err := range tx.Check() {
				c.damaged(fileName, err.Error())
			}
			return nil
		})
	}); err != nil {
		c.damaged(fileName, err.Error())
	}
}
