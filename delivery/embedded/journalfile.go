package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// The journal's file begins with a head of one sector, which a disk writes as a whole:
//
//	magic (8), epoch (8), size of the file (8), id of the database (16), CRC-32C of all
//	of this (4)
//
// It says of which epoch the records behind it are. The database notes the last epoch
// that it has, and the last one of which the journal has records. So each tells whether
// the other is its own, and not an older one.
const (
	journalName  = "webhooks.journal"
	journalSize  = 4 << 20 // unless the file is larger
	journalMagic = "webhook2"
	journalHead  = 8 + 8 + 8 + 16 + 4
	journalStart = 512 // of the first record
)

// fileHead is the head of the journal's file.
type fileHead struct {
	epoch uint64
	size  int64
	id    uuid16
}

func (h *fileHead) encode() []byte {
	b := append(make([]byte, 0, journalHead), journalMagic...)
	b = binary.BigEndian.AppendUint64(b, h.epoch)
	b = binary.BigEndian.AppendUint64(b, uint64(h.size))
	b = append(b, h.id[:]...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeFileHead(b []byte) (h fileHead, ok bool) {
	if len(b) < journalHead || !bytes.HasPrefix(b, []byte(journalMagic)) {
		return h, false
	}
	h.epoch = binary.BigEndian.Uint64(b[8:])
	h.size = int64(binary.BigEndian.Uint64(b[16:]))
	h.id = uuid16(b[24:40])
	return h, binary.BigEndian.Uint32(b[40:]) == crc32.Checksum(b[:40], castagnoli)
}

// writeHead writes the file's head for this epoch, unless it is there.
func (j *journal) writeHead() error {
	if j.headed {
		return nil
	}
	h := fileHead{j.epoch, j.size, j.id}
	_, err := j.file.WriteAt(h.encode(), 0)
	j.headed = err == nil
	return err
}

// damaged makes the error of a journal that is not as the database knows it.
func (j *journal) damaged(what string) error { return damagedFile(j.path, what) }

func damagedFile(path, what string) error {
	return fmt.Errorf("%w: %s %s: %w", delivery.ErrUnavailable, path, what, errDamaged)
}

// epochs is what the database knows of the journal: the last epoch that it has, and the
// last one that it has of which the journal had records.
type epochs struct{ committed, recorded uint64 }

func (e epochs) write(tx *bolt.Tx) error {
	value := binary.BigEndian.AppendUint64(number8(e.committed), e.recorded)
	return writeMeta(tx, journalKey, value)
}

func readEpochs(tx *bolt.Tx) (e epochs, err error) {
	value, err := readMeta(tx, journalKey, 16)
	if err != nil {
		return e, err
	}
	return epochs{binary.BigEndian.Uint64(value), binary.BigEndian.Uint64(value[8:])}, nil
}

// Keys of the meta bucket: what the database knows of the journal, and the id of the
// database, which tells whether a journal belongs to it.
var (
	journalKey = []byte("journal")
	databaseID = []byte("id")
)

func writeMeta(tx *bolt.Tx, key, value []byte) error {
	return tx.Bucket(metaBucket).Put(key, seal(nil, metaNumber, key, value))
}

// readMeta reads a value of the given length.
func readMeta(tx *bolt.Tx, key []byte, length int) ([]byte, error) {
	value, ok := unseal(metaNumber, key, tx.Bucket(metaBucket).Get(key))
	if !ok || len(value) != length {
		return nil, fmt.Errorf("%w: the record %q of the bucket meta cannot be read", errDamaged, key)
	}
	return value, nil
}

// createJournal makes the file of a database's journal, whatever there is. It writes all
// of it, so that later writes need no new blocks.
func createJournal(folder string, size int64, id uuid16, epoch uint64) error {
	path := filepath.Join(folder, journalName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if info, statErr := f.Stat(); statErr == nil {
		size = max(size, info.Size())
	}
	h := fileHead{epoch, size, id}
	content := make([]byte, size)
	copy(content, h.encode())
	_, err = f.WriteAt(content, 0)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), syncFolder(folder))
}

// openJournal opens the journal of a database, and reads it. The file has at least the
// given size afterwards.
func openJournal(folder string, least int64, db *bolt.DB) (*journal, []byte, error) {
	j := &journal{path: filepath.Join(folder, journalName)}
	var known epochs
	if err := db.View(func(tx *bolt.Tx) (err error) {
		id, err := readMeta(tx, databaseID, len(j.id))
		if err == nil {
			j.id = uuid16(id)
			known, err = readEpochs(tx)
		}
		return err
	}); err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(j.path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, j.damaged("is missing")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", delivery.ErrUnavailable, err)
	}
	j.file, j.seed = f, crc32.Checksum(j.id[:], castagnoli)
	content, err := j.read(known, least)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return j, content, nil
}

// read reads the file, and checks that it is the one that the database knows.
func (j *journal) read(known epochs, least int64) ([]byte, error) {
	size, err := j.file.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", delivery.ErrUnavailable, err)
	}
	content := make([]byte, size, max(size, least))
	if _, err := j.file.ReadAt(content, 0); err != nil {
		return nil, fmt.Errorf("%w: %w", delivery.ErrUnavailable, err)
	}
	head, ok := decodeFileHead(content)
	if file, what := j.isOwn(head, ok, size, known); what != "" {
		return nil, damagedFile(filepath.Join(filepath.Dir(j.path), file), what)
	}
	j.size = max(size, least)
	if size < least {
		content = content[:least]
		if _, err = j.file.WriteAt(content[size:], size); err == nil {
			err = j.file.Sync() // before the head has the size
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", delivery.ErrUnavailable, err)
		}
	}
	j.last = known.recorded
	j.begin(known.committed + 1)
	j.headed = head == fileHead{j.epoch, j.size, j.id}
	return content, nil
}

// isOwn checks a journal's head against what the database knows. It says which file is not
// as it should be, if any.
func (j *journal) isOwn(head fileHead, ok bool, size int64, known epochs) (file, what string) {
	switch {
	case !ok:
		return journalName, "has a damaged head"
	case head.id != j.id:
		return journalName, "belongs to another database"
	case size < head.size:
		return journalName, fmt.Sprintf("has lost its end: it has %d of %d bytes", size, head.size)
	case head.epoch < known.recorded:
		return journalName, "is older than the database beside it"
	case head.epoch > known.committed+1:
		return fileName, "is older than the journal beside it, or has lost its last commit"
	default:
		return "", ""
	}
}

// isBlank reports whether a folder has no journal, or one to which nothing was written yet.
func isBlank(folder string) (bool, error) {
	content, err := os.ReadFile(filepath.Join(folder, journalName))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("%w: %w", delivery.ErrUnavailable, err)
	}
	head, ok := decodeFileHead(content)
	if !ok {
		return len(bytes.Trim(content, "\x00")) == 0, nil
	}
	j := &journal{id: head.id, seed: crc32.Checksum(head.id[:], castagnoli), epoch: head.epoch}
	return head.epoch == firstEpoch && j.headBehind(content, journalStart-1) < 0, nil
}

// firstEpoch is the epoch of a new journal.
const firstEpoch = 1
