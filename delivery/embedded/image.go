package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// image is the file of a database, which may be damaged. It is read without bbolt, page by
// page, so that what one page has done to it keeps nobody from reading the others.
type image struct {
	file  *os.File
	size  int64
	page  int64 // the size of a page
	metas []imageMeta
	// seen has the pages that were read, since damage may make pages refer to each other
	// in circles.
	seen map[uint64]bool
	tell func(line string)
}

// imageMeta is the content of a meta page.
type imageMeta struct {
	root, freelist, pages, transaction uint64
}

// imageBucket is where a bucket's records are.
type imageBucket struct {
	root     uint64
	sequence uint64
	inline   []byte // the only page of a small bucket
}

// The layout of bbolt's pages. Numbers are in the machine's byte order, which is
// little-endian wherever this runs.
const (
	pageHead   = 8 + 2 + 2 + 4 // number of the page, kind, elements, pages that follow
	metaSize   = 64
	metaMagic  = 0xED0CDAED
	pageBranch = 1
	pageLeaf   = 2
	elemSize   = 16
	elemBucket = 1 // flag of a leaf's element that is a bucket
	maxDepth   = 40

	pageFreelist = 16
)

var (
	errNoMeta     = errors.New("neither of its meta pages can be read")
	errPageLength = errors.New("its length is wrong")
)

// openImage opens a file whose damages are told line by line.
func openImage(path string, tell func(line string)) (*image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	i := &image{file: f, size: size, seen: make(map[uint64]bool), tell: tell}
	i.findMetas()
	if len(i.metas) == 0 {
		return i, errNoMeta
	}
	if lost := int64(i.metas[0].pages)*i.page - size; lost > 0 {
		i.tell(fmt.Sprintf("the file has lost its end: %d bytes are missing", lost))
	}
	return i, nil
}

func (i *image) close() error { return i.file.Close() }

// findMetas reads the meta pages, the newest first. The second one shows how large pages are
// if the first cannot be read.
func (i *image) findMetas() {
	first, size, ok := i.meta(0)
	if ok {
		i.page, i.metas = size, append(i.metas, first)
		if second, _, ok := i.meta(size); ok {
			i.metas = append(i.metas, second)
		}
	} else {
		for at := int64(1 << 10); at <= 1<<24; at <<= 1 {
			if second, size, ok := i.meta(at); ok && size == at {
				i.page, i.metas = size, append(i.metas, second)
				break
			}
		}
	}
	if len(i.metas) == 2 && i.metas[1].transaction > i.metas[0].transaction {
		i.metas[0], i.metas[1] = i.metas[1], i.metas[0]
	}
	if len(i.metas) == 1 {
		i.tell("one of the two meta pages cannot be read: if it was the newer one, the last commit is lost")
	}
}

func (i *image) meta(at int64) (m imageMeta, size int64, ok bool) {
	b := make([]byte, pageHead+metaSize)
	if _, err := i.file.ReadAt(b, at); err != nil {
		return m, 0, false
	}
	b = b[pageHead:]
	sum := fnv.New64a()
	_, _ = sum.Write(b[:metaSize-8])
	if binary.LittleEndian.Uint32(b) != metaMagic || binary.LittleEndian.Uint64(b[metaSize-8:]) != sum.Sum64() {
		return m, 0, false
	}
	m.root = binary.LittleEndian.Uint64(b[16:])
	m.freelist = binary.LittleEndian.Uint64(b[32:])
	m.pages = binary.LittleEndian.Uint64(b[40:])
	m.transaction = binary.LittleEndian.Uint64(b[48:])
	return m, int64(binary.LittleEndian.Uint32(b[8:])), true
}

// buckets finds the buckets of the newest commit. Those that cannot be found there are
// those of the commit before.
func (i *image) buckets() map[string]imageBucket {
	all := make(map[string]imageBucket)
	for n := range i.metas {
		i.walk("the list of buckets", i.metas[n].root, 0, func(k, v []byte, bucket bool) {
			if _, known := all[string(k)]; known || !bucket || len(v) < 16 {
				return
			}
			b := imageBucket{root: binary.LittleEndian.Uint64(v), sequence: binary.LittleEndian.Uint64(v[8:])}
			if b.root == 0 {
				b.inline = append([]byte(nil), v[16:]...)
			}
			if n > 0 {
				i.tell(fmt.Sprintf("the bucket %s is lost: this is what it was before the last commit", k))
			}
			all[string(k)] = b
		})
		if missing := i.missing(all); len(missing) == 0 {
			break
		} else if n == len(i.metas)-1 {
			for _, name := range missing {
				i.tell("the bucket " + name + " is lost")
			}
		}
	}
	return all
}

func (i *image) missing(all map[string]imageBucket) (names []string) {
	for _, name := range allBuckets {
		if _, ok := all[string(name)]; !ok && !isLate(name) {
			names = append(names, string(name))
		}
	}
	return names
}

// each calls do with the keys and values of a bucket, in their order.
func (i *image) each(name string, b imageBucket, do func(k, v []byte)) {
	record := func(k, v []byte, bucket bool) {
		if !bucket {
			do(k, v)
		}
	}
	if b.root != 0 {
		i.walk("the bucket "+name, b.root, 0, record)
		return
	}
	if err := i.elements(b.inline, record, nil); err != nil {
		i.tell(fmt.Sprintf("the bucket %s: its page: %v", name, err))
	}
}

// walk calls do with all elements below a page.
func (i *image) walk(of string, number uint64, depth int, do func(k, v []byte, bucket bool)) {
	b, err := i.read(number)
	if err == nil && (i.seen[number] || depth > maxDepth) {
		err = errors.New("it is referred to twice")
	}
	if err == nil {
		i.seen[number] = true
		err = i.elements(b, do, func(child uint64) { i.walk(of, child, depth+1, do) })
	}
	if err != nil {
		i.tell(fmt.Sprintf("%s: page %d: %v", of, number, err))
	}
}

// read reads a page with those that belong to it.
func (i *image) read(number uint64) ([]byte, error) {
	if number < 2 || number >= uint64(i.size/i.page) {
		return nil, errors.New("it is not in the file")
	}
	at := int64(number) * i.page
	b := make([]byte, i.page)
	if _, err := i.file.ReadAt(b, at); err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint64(b) != number {
		return nil, errors.New("another page is in its place")
	}
	more := int64(binary.LittleEndian.Uint32(b[12:]))
	if more == 0 {
		return b, nil
	}
	if at+(more+1)*i.page > i.size {
		return nil, errPageLength
	}
	b = make([]byte, (more+1)*i.page)
	_, err := i.file.ReadAt(b, at)
	return b, err
}

// elements calls do or below with each element of a page.
func (i *image) elements(page []byte, do func(k, v []byte, bucket bool), below func(child uint64)) error {
	if len(page) < pageHead {
		return errors.New("it is too short")
	}
	kind, n := binary.LittleEndian.Uint16(page[8:]), int(binary.LittleEndian.Uint16(page[10:]))
	if kind != pageLeaf && (kind != pageBranch || below == nil) {
		return fmt.Errorf("its kind is %d", kind)
	}
	if pageHead+n*elemSize > len(page) {
		return fmt.Errorf("it says that it has %d elements", n)
	}
	bad := 0
	for e := range n {
		at := pageHead + e*elemSize
		elem := page[at : at+elemSize]
		if kind == pageBranch {
			if uint64(at)+uint64(binary.LittleEndian.Uint32(elem))+uint64(binary.LittleEndian.Uint32(elem[4:])) > uint64(len(page)) {
				bad++
			}
			below(binary.LittleEndian.Uint64(elem[8:]))
			continue
		}
		key := uint64(at) + uint64(binary.LittleEndian.Uint32(elem[4:]))
		value := key + uint64(binary.LittleEndian.Uint32(elem[8:]))
		end := value + uint64(binary.LittleEndian.Uint32(elem[12:]))
		if end > uint64(len(page)) || key == value {
			bad++
			continue
		}
		do(page[key:value:value], page[value:end:end], binary.LittleEndian.Uint32(elem)&elemBucket != 0)
	}
	if bad > 0 {
		return fmt.Errorf("%d of its %d records cannot be found", bad, n)
	}
	return nil
}
