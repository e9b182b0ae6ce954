package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// journal is a second file, which has the changes that are not in the database yet. A
// change is made in a transaction of the database, which stays open, and is written here:
// that takes one write to the disk in a place that is allocated already, while a commit
// of the database takes two, with many pages in new places. When the journal is full, the
// transaction is committed, and the journal starts over. The time between two commits is
// an epoch.
//
// The file is a sequence of records, each for one or more writes:
//
//	epoch (8), length of the changes (4), CRC-32C of the previous record's checksum and
//	of all of this record but the checksum (4), then the changes: bucket and kind of
//	change (1), length of the key (uvarint), key, and for a put, length of the value
//	(uvarint), value.
//
// A record counts only if its epoch is the one after the database's, and if the record
// and all before it are complete: what follows an incomplete one was never acknowledged.
type journal struct {
	file  *os.File
	size  int64
	epoch uint64
	at    int64  // where the next record goes
	sum   uint32 // the checksum of the previous record
	seed  uint32 // the same for the first record: the checksum of the database's id

	// buffer has the records that were written since the open transaction began, and
	// after end the record that is being built. The transaction refers to the values in
	// it until it is committed.
	buffer []byte
	end    int
}

const (
	journalName = "webhooks.journal"
	journalSize = 4 << 20 // unless the file is larger
	journalHead = 8 + 4 + 4
)

// Keys of the meta bucket: the epoch that the database has, and the id of the database,
// which tells whether a journal belongs to it.
var (
	journalKey = []byte("journal")
	databaseID = []byte("id")
)

// Kinds of changes. A kind shares a byte with the number of the bucket.
const (
	changePut    = 0 << 6
	changeDelete = 1 << 6
	changeNumber = 2 << 6 // sets the bucket's number, which is in place of the key
	changeMask   = 3 << 6
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// openJournal opens the journal, or creates it. It writes the whole file, so that later
// writes need no new blocks.
func openJournal(folder string, least int64) (*journal, error) {
	f, err := os.OpenFile(filepath.Join(folder, journalName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil && size < least {
		_, err = f.WriteAt(make([]byte, least-size), size)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &journal{file: f, size: max(size, least)}, nil
}

// forget empties the buffer, when no transaction refers to it any more, and makes room for
// an epoch's records. A buffer that is larger had to hold one large record.
func (j *journal) forget() {
	if room := int(j.size + j.size/8); cap(j.buffer) < int(j.size) || cap(j.buffer) > room {
		j.buffer = make([]byte, 0, room)
	}
	j.end = 0
}

// start begins a record, in place of one that was not written.
func (j *journal) start() {
	var head [journalHead]byte
	j.buffer = append(j.buffer[:j.end], head[:]...)
}

// add appends bytes to the record, with their length in front, and returns the copy in the
// buffer.
func (j *journal) add(b []byte) []byte {
	j.buffer = binary.AppendUvarint(j.buffer, uint64(len(b)))
	at := len(j.buffer)
	j.buffer = append(j.buffer, b...)
	return j.buffer[at:]
}

// change appends a change to the record. The value of a put must be added next.
func (j *journal) change(what byte, key []byte) {
	j.buffer = append(j.buffer, what)
	j.add(key)
}

// isEmpty reports whether the record has no changes.
func (j *journal) isEmpty() bool { return len(j.buffer) == j.end+journalHead }

// fits reports whether there is room for the record.
func (j *journal) fits() bool {
	return j.at+int64(len(j.buffer)-j.end) <= j.size
}

// append writes the record. If it returns nil, the record is on the disk.
func (j *journal) append() error {
	b := j.buffer[j.end:]
	binary.BigEndian.PutUint64(b, j.epoch)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-journalHead))
	sum := checksum(j.sum, b[:12], b[journalHead:])
	binary.BigEndian.PutUint32(b[12:], sum)
	if _, err := j.file.WriteAt(b, j.at); err != nil {
		return err
	}
	if err := syncData(j.file); err != nil {
		return unsure("sync the journal", err)
	}
	j.at, j.sum, j.end = j.at+int64(len(b)), sum, len(j.buffer)
	return nil
}

// unsure makes an error that leaves open whether the data is on the disk. The reason may be
// a full disk, but the error must not match that one, which promises that nothing was
// written.
func unsure(what string, err error) error {
	return fmt.Errorf("%s (%s)", what, err.Error())
}

// checksum continues the checksum of the previous record. So whatever the file has after
// the last record cannot be taken for the next one.
func checksum(before uint32, head, changes []byte) uint32 {
	return crc32.Update(crc32.Update(before, castagnoli, head), castagnoli, changes)
}

// begin starts the epoch after the one that the database has.
func (j *journal) begin(tx *bolt.Tx) error {
	j.seed = crc32.Checksum(tx.Bucket(metaBucket).Get(databaseID), castagnoli)
	j.epoch, j.at, j.sum = committedEpoch(tx)+1, 0, j.seed
	return nil
}

func committedEpoch(tx *bolt.Tx) uint64 {
	b := tx.Bucket(metaBucket).Get(journalKey)
	if len(b) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

// isNoted reports whether the database has all of this epoch.
func (j *journal) isNoted(db *bolt.DB) (noted bool) {
	_ = db.View(func(tx *bolt.Tx) error {
		noted = committedEpoch(tx) == j.epoch
		return nil
	})
	return noted
}

// note records in a transaction that it has all of this epoch.
func (j *journal) note(tx *bolt.Tx) error {
	return tx.Bucket(metaBucket).Put(journalKey, binary.BigEndian.AppendUint64(nil, j.epoch))
}

// next begins the next epoch, once the database has all of this one.
func (j *journal) next() { j.epoch, j.at, j.sum = j.epoch+1, 0, j.seed }

// find finds the records of this epoch in a journal that was just opened. If it returns
// nil, they are on the disk, and so is the rest of the file.
func (j *journal) find() error {
	for {
		changes, sum, err := j.record(j.at, j.sum)
		if err != nil {
			return err
		}
		if changes == nil {
			return renew(j.file, 0, j.at)
		}
		j.at, j.sum = j.at+journalHead+int64(len(changes)), sum
	}
}

// record reads the changes and the checksum of a record. The changes are nil if there is
// no record.
func (j *journal) record(at int64, before uint32) (changes []byte, sum uint32, err error) {
	head := make([]byte, journalHead)
	if at+journalHead > j.size {
		return nil, 0, nil
	}
	if _, err := j.file.ReadAt(head, at); err != nil {
		return nil, 0, err
	}
	length := int64(binary.BigEndian.Uint32(head[8:]))
	if binary.BigEndian.Uint64(head) != j.epoch || length == 0 || at+journalHead+length > j.size {
		return nil, 0, nil
	}
	changes = make([]byte, length)
	if _, err := j.file.ReadAt(changes, at+journalHead); err != nil {
		return nil, 0, err
	}
	if sum = checksum(before, head[:12], changes); sum != binary.BigEndian.Uint32(head[12:]) {
		return nil, 0, nil
	}
	return changes, sum, nil
}

// replay makes all changes of this epoch in a transaction.
func (j *journal) replay(v *view) error {
	sum := j.seed
	for at := int64(0); at < j.at; {
		changes, own, err := j.record(at, sum)
		if err != nil {
			return err
		}
		sum = own
		if changes == nil {
			return fmt.Errorf("%w: the journal has lost a record", errDamaged)
		}
		at += journalHead + int64(len(changes))
		for len(changes) > 0 {
			if changes, err = replayOne(v, changes); err != nil {
				return err
			}
		}
	}
	return nil
}

// replayOne makes the first of some changes, and returns the rest.
func replayOne(v *view, changes []byte) (rest []byte, err error) {
	what, number := changes[0]&changeMask, changes[0]&^changeMask
	if int(number) >= len(allBuckets) {
		return nil, record.ErrUnreadable
	}
	b := v.unjournaled(allBuckets[number])
	key, rest, err := cut(changes[1:])
	if err != nil {
		return nil, err
	}
	switch what {
	case changeDelete:
		return rest, b.applyDelete(key)
	case changeNumber:
		if len(key) != 8 {
			return nil, record.ErrUnreadable
		}
		return rest, b.applyNumber(binary.BigEndian.Uint64(key))
	}
	value, rest, err := cut(rest)
	if err != nil {
		return nil, err
	}
	if number == requestsNumber {
		if err := v.countRow(key, value); err != nil {
			return nil, err
		}
	}
	return rest, b.apply(key, value)
}

// cut splits off bytes that have their length in front.
func cut(b []byte) (taken, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, record.ErrUnreadable
	}
	return b[size : size+int(n)], b[size+int(n):], nil
}
