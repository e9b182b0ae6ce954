package redis

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

var arrivedScript = loadScript("arrived")

// How much of the index of events one script reads, and one page.
const (
	leastArrived    = 4 << 10
	mostArrived     = 64 << 10
	arrivedPerPage  = 1 << 20
	arrivedPerEvent = 64 // about
)

// Events reads a page of a tenant's events in the order in which they came.
func (s *Store) Events(ctx context.Context, tenant string, filter delivery.EventFilter) (delivery.EventPage, error) {
	p, err := s.at(tenant)
	if err != nil {
		return delivery.EventPage{}, err
	}
	list := eventList{store: s, partition: p, tenant: tenant, filter: &filter}
	if filter.After != "" {
		if list.at, err = parseArrivedPlace(filter.After); err != nil {
			return delivery.EventPage{}, err
		}
		given := *list.at
		list.given = &given
	}
	list.least, list.highest = "-inf", "+inf"
	if !filter.Since.IsZero() {
		list.least = strconv.FormatInt(record.Hour(filter.Since)*mostChunks, 10)
	}
	if !filter.Until.IsZero() {
		list.highest = strconv.FormatInt((record.Hour(filter.Until)+1)*mostChunks-1, 10)
	}
	list.window = min(max(leastArrived, filter.Limit*arrivedPerEvent), mostArrived)
	for more := true; more; {
		if more, err = list.read(ctx); err != nil {
			return delivery.EventPage{}, err
		}
	}
	return list.page, nil
}

// eventList fills a page.
type eventList struct {
	store     *Store
	partition *partition
	tenant    string
	filter    *delivery.EventFilter
	page      delivery.EventPage

	at             *arrivedPlace // where to go on; nil for the beginning or the end of what there is
	given          *arrivedPlace // where the page begins
	least, highest string        // scores of chunks
	window         int           // how much to read at a time, in bytes
	looked         int           // how much was read, in bytes
	now            time.Time
	swept          int64
}

// arrivedPart is a part of a chunk.
type arrivedPart struct {
	hour, chunk, length, expires, offset int64
	bytes                                []byte
}

// partFields is how many values arrived.lua returns for a part.
const partFields = 6

func readPart(reply []any) (p arrivedPart, err error) {
	for i, target := range []*int64{&p.hour, &p.chunk, &p.length, &p.expires, &p.offset} {
		var ok bool
		if *target, ok = reply[i].(int64); !ok {
			return p, errUnknownReply
		}
	}
	bytes, _ := reply[5].(string)
	p.bytes = []byte(bytes)
	return p, nil
}

// read reads some parts of the index, and reports whether the page needs others.
func (l *eventList) read(ctx context.Context) (more bool, err error) {
	args := []any{l.tenant, boolDigit(!l.filter.OldestFirst), "", "", "", l.least, l.highest, l.window, l.store.work}
	if l.at != nil {
		args[2], args[3], args[4] = l.at.hour, l.at.chunk, l.at.offset
	}
	reply, err := l.store.run(ctx, arrivedScript, l.partition.base, args...)
	if err != nil {
		return false, err
	}
	if len(reply) < 3 || (len(reply)-3)%partFields != 0 {
		return false, errUnknownReply
	}
	now, _ := reply[0].(int64)
	l.now = time.UnixMilli(now)
	l.swept, _ = reply[1].(int64)
	behind, _ := reply[2].(int64)
	left := false // behind the last part, in its chunk
	for r := reply[3:]; len(r) > 0; r = r[partFields:] {
		part, err := readPart(r)
		if err != nil {
			return false, err
		}
		if left, err = l.part(ctx, &part); err != nil || l.isFull() {
			return false, err
		}
	}
	switch {
	case !left && behind == 0:
		return false, nil
	case len(reply) == 3: // those chunks have expired
		l.at = nil
		if l.filter.OldestFirst {
			l.least = "(" + strconv.FormatInt(behind, 10)
		} else {
			l.highest = "(" + strconv.FormatInt(behind, 10)
		}
	case l.looked >= arrivedPerPage:
		l.page.Next = l.at.text()
		return false, nil
	}
	return true, nil
}

func (l *eventList) isFull() bool { return len(l.page.Events) >= l.filter.Limit }

// part takes the events of a part of a chunk, and reports whether the chunk has others behind it.
func (l *eventList) part(ctx context.Context, p *arrivedPart) (left bool, err error) {
	backwards := !l.filter.OldestFirst
	place := arrivedPlace{uint32(p.hour), uint32(p.chunk), uint32(p.offset), 0}
	if backwards {
		place.offset += uint32(len(p.bytes))
	}
	if at := l.at; at != nil && at.hour == place.hour && at.chunk == place.chunk {
		if int64(at.offset) > p.length || at.offset != place.offset {
			return false, delivery.ErrUnknownPlace
		}
		place.events = at.events
	}
	l.at = &place
	l.looked += len(p.bytes)
	for b := p.bytes; ; {
		end := p.offset == 0 && backwards || p.offset+int64(len(p.bytes)) == p.length && !backwards // of the chunk
		if len(b) == 0 {
			return !end, nil
		}
		block, size, err := cutBlock(b, backwards)
		if errors.Is(err, errCutBlock) && !end && size <= mostBlock {
			l.window = max(l.window, size) // the next part has all of it
			return true, nil
		}
		var events []delivery.ListedEvent
		if err == nil {
			events, err = decodeBlock(block)
		}
		if err == nil && int(place.events) > len(events) {
			err = errNoBlock
		}
		if err != nil {
			return false, l.unreadable(ctx, p, err)
		}
		if l.block(events, p); l.isFull() {
			return true, nil
		}
		if backwards {
			place.offset, b = place.offset-uint32(size), b[:len(b)-size]
		} else {
			place.offset, b = place.offset+uint32(size), b[size:]
		}
		place.events = 0
	}
}

// mostBlock is more than the size of any block.
const mostBlock = 4 << 20

// block takes events of a block, of which some are before the place, until the page is full.
func (l *eventList) block(events []delivery.ListedEvent, p *arrivedPart) {
	hourEnds := record.HourTime(p.hour + 1)
	for int(l.at.events) < len(events) && !l.isFull() {
		i := int(l.at.events)
		if !l.filter.OldestFirst {
			i = len(events) - 1 - i
		}
		l.at.events++
		e := events[i]
		// A chunk expires with the last event of its hour, and others as much before.
		expires := time.UnixMilli(p.expires).Add(e.ReceivedAt.Sub(hourEnds))
		if p.expires > 0 && !expires.After(l.now) || record.Hour(e.ReceivedAt)+1 < l.swept || !l.filter.Selects(e.Type, e.ReceivedAt) {
			continue
		}
		e.Place = l.at.text()
		l.page.Events = append(l.page.Events, e)
		l.page.Next = ""
	}
	if l.isFull() {
		l.page.Next = l.page.Events[len(l.page.Events)-1].Place
	}
}

// unreadable is the error of a part that cannot be read. If the page did not begin in its chunk, the
// chunk is set aside, and the page goes on behind it.
func (l *eventList) unreadable(ctx context.Context, p *arrivedPart, err error) error {
	if l.given != nil && int64(l.given.hour) == p.hour && int64(l.given.chunk) == p.chunk {
		return delivery.ErrUnknownPlace
	}
	if l.at.offset = 0; l.filter.OldestFirst {
		l.at.offset = uint32(p.length)
	}
	l.at.events = 0
	var bad []unreadable
	hour := strconv.FormatInt(p.hour, 10)
	for _, name := range []string{hour, hour + ":" + strconv.FormatInt(p.chunk, 10)} {
		bad = append(bad, unreadable{key: arrivedKey(l.partition.base, l.tenant, name), value: string(p.bytes), why: err.Error()})
	}
	l.store.setAside(ctx, l.partition.base, bad...)
	return nil
}
