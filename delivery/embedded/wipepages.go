package embedded

import (
	"encoding/binary"
	"sort"
)

// wipePagesStep is how many pages one step overwrites at most.
const wipePagesStep = 256

// wipePages overwrites some pages, from one on, that neither of the last two commits refers to:
// the one before the last is what there is if its meta page is damaged. It returns where to go
// on. The writer calls it, so that nothing is committed meanwhile.
func (s *Store) wipePages(from uint64) (next uint64, done bool, err error) {
	// Whoever reads an earlier commit ends first; who begins now reads the last one.
	s.readers.Lock()
	s.readers.Unlock() //nolint:staticcheck // nothing is to be done in between
	info, err := s.disk.Stat()
	if err != nil {
		return 0, false, err
	}
	i := &image{file: s.disk, size: info.Size(), tell: func(string) {}}
	if i.findMetas(); len(i.metas) < 2 {
		return 0, true, nil // whoever opens the store next is told
	}
	last, before := i.freeList(i.metas[0]), i.freeList(i.metas[1])
	behind := max(i.metas[0].pages, i.metas[1].pages) // pages from here on are not in use yet
	free, end, err := last.pages(from, wipePagesStep)
	if err != nil {
		return 0, false, err
	}
	both, endBoth, err := before.pages(from, 4*wipePagesStep)
	if err != nil {
		return 0, false, err
	}
	end = min(end, endBoth, behind)
	if err := i.wipe(common(free, both, end)); err != nil {
		return 0, false, err
	}
	if end < behind {
		return end, false, nil
	}
	from = max(from, behind)
	end = min(from+wipePagesStep, uint64(i.size/i.page))
	if from < end {
		err = overwrite(i.file, int64(from)*i.page, int64(end)*i.page, i.page)
	}
	return end, end >= uint64(i.size/i.page), err
}

// common are the pages before an end that are in both of two sorted lists.
func common(a, b []uint64, end uint64) (both []uint64) {
	for len(a) > 0 && len(b) > 0 && a[0] < end {
		switch {
		case a[0] < b[0]:
			a = a[1:]
		case a[0] > b[0]:
			b = b[1:]
		default:
			both = append(both, a[0])
			a, b = a[1:], b[1:]
		}
	}
	return both
}

// wipe overwrites pages, those that follow each other together.
func (i *image) wipe(pages []uint64) error {
	for len(pages) > 0 {
		n := 1
		for n < len(pages) && pages[n] == pages[0]+uint64(n) {
			n++
		}
		if err := overwrite(i.file, int64(pages[0])*i.page, int64(pages[n-1]+1)*i.page, i.page); err != nil {
			return err
		}
		pages = pages[n:]
	}
	return nil
}

// freeList is the list of free pages of a commit, which is sorted.
type freeList struct {
	*image
	at int64 // of the first in the file
	n  int   // 0 if it cannot be read: then no page is free
}

func (i *image) freeList(m imageMeta) freeList {
	at := int64(m.freelist) * i.page
	head := make([]byte, pageHead+8)
	if _, err := i.file.ReadAt(head, at); err != nil ||
		binary.LittleEndian.Uint64(head) != m.freelist || binary.LittleEndian.Uint16(head[8:]) != pageFreelist {
		return freeList{image: i}
	}
	room := (int64(binary.LittleEndian.Uint32(head[12:]))+1)*i.page - pageHead
	n, first := uint64(binary.LittleEndian.Uint16(head[10:])), at+pageHead
	if n == 0xffff {
		n, first, room = binary.LittleEndian.Uint64(head[pageHead:]), first+8, room-8
	}
	if n > uint64(room/8) {
		return freeList{image: i}
	}
	return freeList{i, first, int(n)}
}

// pages are the free pages from one on, so many at most, and the page up to which these are all.
func (f *freeList) pages(from uint64, most int) (pages []uint64, end uint64, err error) {
	var b [8]byte
	first := sort.Search(f.n, func(n int) bool {
		if _, e := f.file.ReadAt(b[:], f.at+8*int64(n)); e != nil {
			err = e
		}
		return binary.LittleEndian.Uint64(b[:]) >= from
	})
	all := make([]byte, 8*min(most, f.n-first))
	if err == nil && len(all) > 0 {
		_, err = f.file.ReadAt(all, f.at+8*int64(first))
	}
	for ; len(all) > 0; all = all[8:] {
		pages = append(pages, binary.LittleEndian.Uint64(all))
	}
	if end = ^uint64(0); first+len(pages) < f.n {
		end = pages[len(pages)-1] + 1
	}
	return pages, end, err
}
