package expression

import (
	"container/list"
	"sync"
)

// Cache remembers compiled expressions, those used last as far as there is room. Whatever has the
// same text shares one. The zero value is an empty cache without room.
type Cache struct {
	Most int // bytes, approximately

	mu   sync.Mutex
	of   map[cacheKey]*list.Element
	used list.List // of cached, the last used first
	size int
}

type cacheKey struct {
	kind   Kind
	source string
}

type cached struct {
	cacheKey
	program *Program
	err     error
}

// Approximate sizes in memory, of a program and for each byte of its source.
const (
	programBytes   = 2 << 10
	programPerByte = 64
)

func (c *cached) size() int {
	if c.err != nil {
		return programBytes/8 + len(c.source)
	}
	return Size(len(c.source))
}

// Size is what a compiled expression takes in a Cache, by the length of its source.
func Size(length int) int { return programBytes + programPerByte*length }

// Compile is as the function of this name, unless it is remembered what that gave.
func (c *Cache) Compile(kind Kind, source string) (*Program, error) {
	key := cacheKey{kind, source}
	c.mu.Lock()
	if place := c.of[key]; place != nil {
		c.used.MoveToFront(place)
		one := place.Value.(*cached)
		c.mu.Unlock()
		return one.program, one.err
	}
	c.mu.Unlock()
	one := &cached{cacheKey: key}
	one.program, one.err = Compile(kind, source)
	c.put(one)
	return one.program, one.err
}

func (c *Cache) put(one *cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[one.cacheKey] != nil {
		return // somebody else was quicker
	}
	if c.of == nil {
		c.of = make(map[cacheKey]*list.Element)
	}
	c.of[one.cacheKey] = c.used.PushFront(one)
	c.size += one.size()
	for c.size > c.Most {
		last := c.used.Remove(c.used.Back()).(*cached)
		delete(c.of, last.cacheKey)
		c.size -= last.size()
	}
}
