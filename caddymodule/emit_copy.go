package caddymodule

// emitCopy is a copy of a body in the making. Its memory is the gateway's.
type emitCopy struct {
	max      int64 // bytes
	likely   int64 // how many there will be, if more than 0
	bytes    []byte
	reserved int64 // bytes of the gateway's memory
	// tooLarge and failed: nothing is copied any more, since the body is too large, or there
	// is no memory.
	tooLarge, failed bool
}

const (
	firstCopy     = 512
	mostPromising = 64 << 10 // what may be reserved because somebody says that it comes
)

// Write implements io.Writer.
func (c *emitCopy) Write(p []byte) (int, error) {
	c.add(p)
	return len(p), nil
}

// add copies more of the body, and reports whether all of it is copied so far. What is not all
// is dropped.
func (c *emitCopy) add(p []byte) bool {
	if !c.keep(p) {
		c.free()
		return false
	}
	return true
}

// keep is add, but what has been copied before stays.
func (c *emitCopy) keep(p []byte) bool {
	need := int64(len(c.bytes) + len(p))
	switch {
	case c.tooLarge || c.failed:
		return false
	case need > c.max:
		c.tooLarge = true
		return false
	case need > int64(cap(c.bytes)) && !c.grow(need):
		c.failed = true
		return false
	}
	c.bytes = append(c.bytes, p...)
	return true
}

func (c *emitCopy) grow(need int64) bool {
	size := max(need, 2*int64(cap(c.bytes)), min(c.likely, mostPromising))
	if c.likely <= 0 {
		size = max(size, firstCopy)
	}
	size = min(size, c.max)
	if !gateway.reserve(size - c.reserved) {
		return false
	}
	c.reserved = size
	grown := make([]byte, len(c.bytes), size)
	copy(grown, c.bytes)
	c.bytes = grown
	return true
}

// emitMemory is memory of the gateway beside copies.
type emitMemory int64

// take takes more bytes, unless there are too few left.
func (m *emitMemory) take(bytes int64) bool {
	if !gateway.reserve(bytes) {
		return false
	}
	*m += emitMemory(bytes)
	return true
}

func (m *emitMemory) free() {
	gateway.unreserve(int64(*m))
	*m = 0
}

// free gives the memory back.
func (c *emitCopy) free() {
	gateway.unreserve(c.reserved)
	c.bytes, c.reserved = nil, 0
}
