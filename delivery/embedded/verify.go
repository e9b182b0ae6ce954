package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// verify looks at the structure of a database before bbolt uses it: bbolt trusts it, and
// where it is wrong in one of these ways, would need all memory there is, or end the
// process. All else that may be wrong is noticed, and does no such harm. What is read is the
// list of buckets, the list of free pages, the pages above the records, and, of a file that
// is not large, those with the records.
func verify(folder string) error {
	path := filepath.Join(folder, fileName)
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		return nil // there is nothing yet, or the next one who tries to open it will say why
	}
	// Nobody changes the file while it is locked.
	var lock *bolt.DB
	var file *os.File
	err := guarded(func() (err error) {
		lock, err = bolt.Open(path, 0, readOnly(&file))
		return err
	})
	if err != nil {
		if errors.Is(err, errDamaged) && file != nil {
			_ = abandonFile(file) // nothing was written
		}
		return nil // for the same reason
	}
	defer func() { _ = lock.Close() }() // nothing was written
	image, err := openImage(path, func(string) {})
	if err != nil {
		return err
	}
	defer func() { _ = image.close() }()
	if what := image.trap(); what != "" {
		return damagedFile(path, what)
	}
	return nil
}

// verifyAll is the size of the largest file all of which is read.
const verifyAll = 256 << 20

// readOnly are the options to read a file while nobody else has it open. They set file.
func readOnly(file **os.File) *bolt.Options {
	return &bolt.Options{
		ReadOnly: true, Timeout: lockPatience,
		OpenFile: func(path string, flag int, mode os.FileMode) (_ *os.File, err error) {
			*file, err = os.OpenFile(path, flag, mode)
			return *file, err
		},
	}
}

// trap says what of the structure of the newest commit would harm the process, "" if nothing
// would.
func (i *image) trap() string {
	m := i.metas[0]
	t := traps{image: i, seen: make([]uint64, m.pages/64+1)}
	t.tree(m.root, t.depth(m.root), func(k, v []byte, bucket bool) {
		if !bucket || len(v) < 16 {
			t.found = "has a damaged list of buckets"
			return
		}
		root := binary.LittleEndian.Uint64(v)
		if root != 0 {
			t.tree(root, t.depth(root), nil)
		} else if i.elements(v[16:], func(_, _ []byte, _ bool) {}, nil) != nil {
			t.found = fmt.Sprintf("has a damaged bucket %q", k)
		}
	})
	if !t.freelist(m.freelist) {
		t.found = "has a damaged list of free pages"
	}
	return t.found
}

// traps goes through pages that refer to others.
type traps struct {
	*image
	seen  []uint64 // bits of the pages that were referred to
	found string
}

// depth is how many pages are above the records of a tree, by its first branches.
func (t *traps) depth(root uint64) (depth int) {
	for ; depth < maxDepth; depth++ {
		b, err := t.read(root)
		if err != nil || binary.LittleEndian.Uint16(b[8:]) != pageBranch {
			return depth
		}
		root = binary.LittleEndian.Uint64(b[pageHead+8:])
	}
	return depth
}

// tree goes through a tree's pages that refer to others and, if leaf is not nil, the leaves.
func (t *traps) tree(number uint64, depth int, leaf func(k, v []byte, bucket bool)) {
	if !t.see(number) {
		t.found = fmt.Sprintf("has a damaged page that refers to page %d", number)
		return
	}
	if depth == 0 && leaf == nil && t.size > verifyAll {
		return
	}
	b, err := t.read(number)
	if errors.Is(err, errPageLength) || err == nil && !t.seeRest(number, b) {
		t.found = fmt.Sprintf("has a damaged page %d, whose length is wrong", number)
		return
	}
	if err != nil {
		return // bbolt notices it, too
	}
	switch kind := binary.LittleEndian.Uint16(b[8:]); {
	case kind == pageBranch:
	case leaf != nil && t.elements(b, leaf, nil) != nil:
		t.found = "has a damaged list of buckets"
		return
	case kind == pageLeaf && t.elements(b, func(_, _ []byte, _ bool) {}, nil) != nil:
		t.found = fmt.Sprintf("has a damaged page %d", number)
		return
	default:
		return
	}
	if t.elements(b, nil, func(child uint64) { t.tree(child, max(0, depth-1), leaf) }) != nil {
		t.found = fmt.Sprintf("has a damaged page %d", number)
	}
}

// see remembers that a page is in use. It reports false if it is in use already, or does not
// exist.
func (t *traps) see(number uint64) bool {
	word, bit := number/64, uint64(1)<<(number%64)
	if number < 2 || number >= t.metas[0].pages || t.seen[word]&bit != 0 {
		return false
	}
	t.seen[word] |= bit
	return true
}

// seeRest remembers the pages that belong to a page.
func (t *traps) seeRest(number uint64, page []byte) bool {
	for more := uint64(len(page))/uint64(t.page) - 1; more > 0; more-- {
		if number++; !t.see(number) {
			return false
		}
	}
	return true
}

// freelist reports whether a page is a list of free pages, none of which is in use: bbolt
// would overwrite it.
func (t *traps) freelist(number uint64) bool {
	b, err := t.read(number)
	if err != nil || !t.see(number) || !t.seeRest(number, b) || binary.LittleEndian.Uint16(b[8:]) != pageFreelist {
		return false
	}
	n, head := uint64(binary.LittleEndian.Uint16(b[10:])), uint64(pageHead)
	if n == 0xffff {
		n, head = binary.LittleEndian.Uint64(b[pageHead:]), pageHead+8
	}
	free := b[head:]
	if over, bytes := bits.Mul64(n, 8); over > 0 || bytes > uint64(len(free)) {
		return false
	}
	for ; n > 0; n, free = n-1, free[8:] {
		if !t.see(binary.LittleEndian.Uint64(free)) {
			return false
		}
	}
	return true
}
