package redis

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// longChunk is how long a chunk of the index of events becomes. While a string grows, Redis copies
// it now and then, which must not take long.
const longChunk = 1 << 20

// The sizes of what blocks of the index of events consist of: see keys.go.
const (
	blockSize        = 4
	blockHeadSize    = blockSize + 6
	arrivedHeadSize  = 16 + 8 + 4 + 2 + 1 + 2
	blockBesides     = blockHeadSize + blockSize
	arrivedTypeStart = arrivedHeadSize - 2
)

// arrivedEvents are events of a tenant, one behind the other, as the index has them.
type arrivedEvents struct {
	tenant string
	events []byte
}

// arrive adds the events of a call to what its tenant's index gets.
func (a *acceptance) arrive(c *delivery.AcceptCall) {
	n := slices.IndexFunc(a.arrived, func(of arrivedEvents) bool { return of.tenant == c.Tenant })
	if n < 0 {
		n = len(a.arrived)
		a.arrived = append(a.arrived, arrivedEvents{tenant: c.Tenant})
	}
	of, size := &a.arrived[n], 0
	for i := range c.Events {
		size += arrivedHeadSize + len(c.Events[i].Type)
	}
	of.events = slices.Grow(of.events, size)
	for i := range c.Events {
		of.events = appendArrived(of.events, &c.Events[i])
	}
}

// appendArrived encodes an event for the index.
func appendArrived(b []byte, e *delivery.AcceptEvent) []byte {
	b = append(b, e.ID[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(e.OccurredAt.Unix()))
	b = binary.BigEndian.AppendUint32(b, uint32(e.OccurredAt.Nanosecond()))
	b = binary.BigEndian.AppendUint16(b, uint16(len(e.Targets)))
	test := byte(0)
	if e.Test {
		test = 1
	}
	b = append(b, test)
	b = binary.BigEndian.AppendUint16(b, uint16(len(e.Type)))
	return append(b, e.Type...)
}

var (
	// errCutBlock: the block does not end in the bytes that were read.
	errCutBlock = errors.New("a block of the index of events is cut off")
	errNoBlock  = errors.New("no block of the index of events")
)

// cutBlock gives the first block of some bytes or, backwards, the last one, and its size in them.
// It is errCutBlock if there are too few bytes; size is how many it takes then.
func cutBlock(b []byte, backwards bool) (block []byte, size int, err error) {
	if len(b) < blockBesides {
		return nil, blockBesides, errCutBlock
	}
	count := b
	if backwards {
		count = b[len(b)-blockSize:]
	}
	size = int(binary.BigEndian.Uint32(count)) + blockBesides
	if size > len(b) {
		return nil, size, errCutBlock
	}
	if block = b[:size]; backwards {
		block = b[len(b)-size:]
	}
	if string(block[:blockSize]) != string(block[size-blockSize:]) {
		return nil, size, errNoBlock
	}
	return block, size, nil
}

// decodeBlock decodes the events of a block, without their places.
func decodeBlock(block []byte) (events []delivery.ListedEvent, err error) {
	received := record.Time(int64(binary.BigEndian.Uint64(block[blockSize-2:]) & (1<<48 - 1)))
	for b := block[blockHeadSize : len(block)-blockSize]; len(b) > 0; {
		if len(b) < arrivedHeadSize {
			return nil, errNoBlock
		}
		size := arrivedHeadSize + int(binary.BigEndian.Uint16(b[arrivedTypeStart:]))
		if size > len(b) {
			return nil, errNoBlock
		}
		events = append(events, delivery.ListedEvent{
			ID: uuid.UUID(b[:16]), Type: string(b[arrivedHeadSize:size]),
			OccurredAt: time.Unix(int64(binary.BigEndian.Uint64(b[16:])), int64(binary.BigEndian.Uint32(b[24:]))).UTC(),
			ReceivedAt: received, Deliveries: int(binary.BigEndian.Uint16(b[28:])), Test: b[30] == 1,
		})
		b = b[size:]
	}
	return events, nil
}

// arrivedPlace is a place in the index of a tenant's events: between two blocks of a chunk. A number
// of events behind it, in the direction of the list, are before the place.
type arrivedPlace struct {
	hour, chunk, offset uint32
	events              uint16
}

func (p *arrivedPlace) text() string {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, arrivedPlaceSize), p.hour)
	b = binary.BigEndian.AppendUint32(b, p.chunk)
	b = binary.BigEndian.AppendUint32(b, p.offset)
	return string(binary.BigEndian.AppendUint16(b, p.events))
}

const arrivedPlaceSize = 4 + 4 + 4 + 2

func parseArrivedPlace(text string) (p *arrivedPlace, err error) {
	if len(text) != arrivedPlaceSize {
		return nil, delivery.ErrUnknownPlace
	}
	b := []byte(text)
	p = &arrivedPlace{
		binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint16(b[12:]),
	}
	if p.chunk >= mostChunks {
		return nil, delivery.ErrUnknownPlace
	}
	return p, nil
}

// mostChunks is as in common.lua.
const mostChunks = 1_000_000
