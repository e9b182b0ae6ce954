package api

import (
	"bytes"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// maxKept is how large a body may be, in bytes, for its memory to be kept for others.
const maxKept = 64 << 10

// scratch is the memory that a call needs to read its events. The next call gets it as
// soon as this one has emitted them: nothing may refer to it any more.
type scratch struct {
	body    []byte
	source  bytes.Buffer // the body, as decoder reads it
	decoder jsontext.Decoder
	events  []delivery.NewEvent
	arrival *arrival // nil until a body is awaited
}

var scratches sync.Pool // of *scratch

func takeScratch() *scratch {
	if s, ok := scratches.Get().(*scratch); ok {
		return s
	}
	return new(scratch)
}

func (s *scratch) giveBack() {
	if cap(s.body) <= maxKept {
		clear(s.events)
		scratches.Put(s)
	}
}
