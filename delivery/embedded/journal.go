package embedded

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"

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
// After its head, see journalfile.go, the file is a sequence of records, each for one or
// more writes:
//
//	epoch (8), length of the changes (4), CRC-32C of the changes (4), CRC-32C of the
//	database's id, the record's place in the file and its head so far (4), then the
//	changes: bucket and kind of change (1), length of the key (uvarint), key, and for
//	a put, length of the value (uvarint), sealed value.
//
// A record counts only if its epoch is the one after the database's. It is written after
// the one before it is on the disk. So a record that is not whole was never acknowledged,
// unless there is another one behind it, or a mark, which is the head of a record of no
// length: then the journal is damaged.
type journal struct {
	file  *os.File
	path  string
	size  int64
	id    uuid16 // the database's
	seed  uint32 // its checksum
	epoch uint64
	last  uint64 // the last epoch before this one that has a record
	at    int64  // where the next record goes

	// headed says that the file's head has this epoch, marked that there is a mark at the
	// end.
	headed bool
	marked bool
	mark   [recordHead]byte

	// buffer has the records that were written since the open transaction began, and
	// after end the record that is being built. The transaction refers to the values in
	// it until it is committed.
	buffer []byte
	end    int
	sealer sealer
}

// uuid16 is the random id of a database.
type uuid16 [16]byte

// recordHead is the length of a record's head.
const recordHead = 8 + 4 + 4 + 4

// Kinds of changes. A kind shares a byte with the number of the bucket.
const (
	changePut    = 0 << 6
	changeDelete = 1 << 6
	changeNumber = 2 << 6 // sets the bucket's number, which is in place of the key
	changeMask   = 3 << 6
)

// forget empties the buffer, when no transaction refers to it any more, and makes room for
// an epoch's records, of which the last one does not fit into the journal. A buffer that is
// much larger had to hold one large record.
func (j *journal) forget() {
	if size := int(j.size); cap(j.buffer) < size || cap(j.buffer) > 2*size {
		j.buffer = make([]byte, 0, size+size/8)
	}
	j.end = 0
}

// start begins a record, in place of one that was not written.
func (j *journal) start() {
	var head [recordHead]byte
	j.buffer = append(j.buffer[:j.end], head[:]...)
}

// add appends bytes to the record, with their length in front.
func (j *journal) add(b []byte) {
	j.buffer = binary.AppendUvarint(j.buffer, uint64(len(b)))
	j.buffer = append(j.buffer, b...)
}

// addSealed seals a value, appends it to the record, and returns the copy in the buffer.
func (j *journal) addSealed(bucket byte, key, value []byte) []byte {
	j.buffer = binary.AppendUvarint(j.buffer, uint64(len(value)+sumSize))
	at := len(j.buffer)
	j.buffer = j.sealer.seal(j.buffer, bucket, key, value)
	return j.buffer[at:]
}

// change appends a change to the record, and returns the copy of the key in the buffer. The
// value of a put must be added next.
func (j *journal) change(what byte, key []byte) []byte {
	j.buffer = append(j.buffer, what)
	j.add(key)
	return j.buffer[len(j.buffer)-len(key):]
}

// isEmpty reports whether the record has no changes.
func (j *journal) isEmpty() bool { return len(j.buffer) == j.end+recordHead }

// hasRecords reports whether this epoch has records.
func (j *journal) hasRecords() bool { return j.at > journalStart }

// fits reports whether there is room for the record.
func (j *journal) fits() bool {
	return j.at+int64(len(j.buffer)-j.end) <= j.size
}

// append writes the record. If it returns nil, the record is on the disk.
func (j *journal) append() error {
	b := j.buffer[j.end:]
	j.seal(b[:recordHead], b[recordHead:])
	if err := j.writeHead(); err != nil {
		return err
	}
	j.marked = false
	if _, err := j.file.WriteAt(b, j.at); err != nil {
		return err
	}
	if err := syncData(j.file); err != nil {
		return unsure("sync the journal", err)
	}
	j.at, j.end = j.at+int64(len(b)), len(j.buffer)
	return nil
}

// markEnd notes in the file that all records in it were acknowledged. It does not wait for
// the disk, and need not succeed: the mark tells a damaged last record from one that was
// interrupted, unless the power fails.
func (j *journal) markEnd() {
	if j.marked || !j.hasRecords() || j.at+recordHead > j.size {
		return
	}
	j.seal(j.mark[:], nil)
	_, err := j.file.WriteAt(j.mark[:], j.at)
	j.marked = err == nil
}

// unsure makes an error that leaves open whether the data is on the disk. The reason may be
// a full disk, but the error must not match that one, which promises that nothing was
// written.
func unsure(what string, err error) error {
	return fmt.Errorf("%s (%s)", what, err.Error())
}

// seal fills in the head of a record that goes to the end of the journal.
func (j *journal) seal(head, changes []byte) {
	binary.BigEndian.PutUint64(head, j.epoch)
	binary.BigEndian.PutUint32(head[8:], uint32(len(changes)))
	binary.BigEndian.PutUint32(head[12:], crc32.Checksum(changes, castagnoli))
	binary.BigEndian.PutUint32(head[16:], j.check(head, j.at))
}

// check is the checksum of the head of a record at a place.
func (j *journal) check(head []byte, at int64) uint32 {
	return crc32.Update(j.seed^uint32(at), castagnoli, head[:16])
}

// isHead reports whether a head was written at this place in this epoch.
func (j *journal) isHead(content []byte, at int64) bool {
	if at+recordHead > int64(len(content)) {
		return false
	}
	head := content[at : at+recordHead]
	return binary.BigEndian.Uint64(head) == j.epoch && binary.BigEndian.Uint32(head[16:]) == j.check(head, at)
}

// record gives the changes of the record at a place in the journal's content; ok is false
// if there is no whole record. A mark has no changes.
func (j *journal) record(content []byte, at int64) (changes []byte, ok bool) {
	if !j.isHead(content, at) {
		return nil, false
	}
	head := content[at : at+recordHead]
	from := at + recordHead
	to := from + int64(binary.BigEndian.Uint32(head[8:]))
	if to > int64(len(content)) {
		return nil, false
	}
	changes = content[from:to:to]
	return changes, crc32.Checksum(changes, castagnoli) == binary.BigEndian.Uint32(head[12:])
}

// headBehind finds the first head behind a place, -1 if there is none.
func (j *journal) headBehind(content []byte, at int64) int64 {
	epoch := binary.BigEndian.AppendUint64(nil, j.epoch)
	for at++; at < int64(len(content)); at++ {
		i := bytes.Index(content[at:], epoch)
		if i < 0 {
			return -1
		}
		if at += int64(i); j.isHead(content, at) {
			return at
		}
	}
	return -1
}

// find finds the end of this epoch's records in a journal that was just opened.
func (j *journal) find(content []byte) error {
	for {
		changes, ok := j.record(content, j.at)
		switch {
		case ok && len(changes) > 0:
			j.at += recordHead + int64(len(changes))
			continue
		case !ok && j.headBehind(content, j.at) >= 0:
			return j.damaged(fmt.Sprintf("has a damaged record at byte %d", j.at))
		}
		return nil
	}
}

// renew makes sure that the head and the records that were found are on the disk, and so is
// the rest of the file.
func (j *journal) renew() error {
	if err := j.writeHead(); err != nil {
		return err
	}
	return renew(j.file, 0, j.at)
}

// isNoted reports whether the database has all of this epoch.
func (j *journal) isNoted(db *bolt.DB) (noted bool) {
	_ = db.View(func(tx *bolt.Tx) error {
		known, err := readEpochs(tx)
		noted = err == nil && known.committed == j.epoch
		return nil
	})
	return noted
}

// note records in a transaction that it has all of this epoch.
func (j *journal) note(tx *bolt.Tx) error {
	known := epochs{j.epoch, j.last}
	if j.hasRecords() {
		known.recorded = j.epoch
	}
	return known.write(tx)
}

// next begins the next epoch, once the database has all of this one. The head in the file
// is on the disk no later than the epoch's first record.
func (j *journal) next() {
	if j.hasRecords() {
		j.last = j.epoch
	}
	j.begin(j.epoch + 1)
	_ = j.writeHead() // or before the first record
}

// begin begins an epoch.
func (j *journal) begin(epoch uint64) {
	j.epoch, j.at, j.headed, j.marked = epoch, journalStart, false, false
}

// replay makes all changes of this epoch in a transaction.
func (j *journal) replay(v *view) error {
	if !j.hasRecords() {
		return nil
	}
	content := make([]byte, j.at)
	if _, err := j.file.ReadAt(content, 0); err != nil {
		return err
	}
	for at := int64(journalStart); at < j.at; {
		changes, ok := j.record(content, at)
		if !ok || len(changes) == 0 {
			return j.damaged("has lost a record")
		}
		at += recordHead + int64(len(changes))
		for len(changes) > 0 {
			var c change
			var err error
			if c, changes, err = cutChange(changes); err != nil {
				return err
			}
			if err := c.replay(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// change is one change in a record.
type change struct {
	kind, bucket byte
	key, value   []byte // the value is sealed
}

// cutChange splits off the first of some changes.
func cutChange(changes []byte) (c change, rest []byte, err error) {
	c.kind, c.bucket = changes[0]&changeMask, changes[0]&^changeMask
	if int(c.bucket) >= len(allBuckets) {
		return c, nil, record.ErrUnreadable
	}
	if c.key, rest, err = cut(changes[1:]); err != nil {
		return c, nil, err
	}
	switch c.kind {
	case changePut:
		c.value, rest, err = cut(rest)
	case changeNumber:
		if len(c.key) != 8 {
			err = record.ErrUnreadable
		}
	}
	return c, rest, err
}

// replay makes the change in a transaction.
func (c *change) replay(v *view) error {
	b := v.unjournaled(allBuckets[c.bucket])
	switch c.kind {
	case changeDelete:
		return b.applyDelete(c.key)
	case changeNumber:
		return b.applyNumber(binary.BigEndian.Uint64(c.key))
	}
	if c.bucket == requestsNumber {
		if row, ok := unseal(c.bucket, c.key, c.value); ok {
			v.countRow(c.key, row)
		}
	}
	return b.apply(c.key, c.value)
}

// cut splits off bytes that have their length in front.
func cut(b []byte) (taken, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, record.ErrUnreadable
	}
	return b[size : size+int(n)], b[size+int(n):], nil
}
