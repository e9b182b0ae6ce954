package api

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// plainEvents reads the body as nearly all emitters write it, in one go and without
// reflection. It says no to whatever is wrong and to what is unusual, such as an escape
// sequence in a name: readEvents then finds out which. The events' data are parts of the
// body, and the events are valid until the scratch is given back.
func (s *scratch) plainEvents(body []byte, types *EventTypes, maxEventSize int64) (events []delivery.NewEvent, ok bool) {
	s.body, s.source = body, *bytes.NewBuffer(body)
	s.decoder.Reset(&s.source)
	s.events = s.events[:0]
	if !isArray(body) {
		ok = s.plainEvent(types)
	} else if ok = s.token(jsontext.KindBeginArray); ok {
		for ok && s.decoder.PeekKind() != jsontext.KindEndArray {
			before := s.decoder.InputOffset()
			ok = len(s.events) < maxEvents && s.plainEvent(types) && s.decoder.InputOffset()-before <= maxEventSize
		}
		ok = ok && len(s.events) > 0 && s.token(jsontext.KindEndArray)
	}
	return s.events, ok && onlySpace(body[s.decoder.InputOffset():])
}

// plainEvent reads the next event.
func (s *scratch) plainEvent(types *EventTypes) bool {
	if !s.token(jsontext.KindBeginObject) {
		return false
	}
	var ev delivery.NewEvent
	for s.decoder.PeekKind() == jsontext.KindString {
		if !s.plainMember(&ev, types) {
			return false
		}
	}
	s.events = append(s.events, ev)
	return ev.Type != "" && ev.Data != nil && s.token(jsontext.KindEndObject)
}

// plainMember reads the next member of an event. The decoder refuses one that is there
// twice.
func (s *scratch) plainMember(ev *delivery.NewEvent, types *EventTypes) (ok bool) {
	name, value := s.value(), s.value()
	if len(value) == 0 {
		return false
	}
	switch string(name) {
	case `"data"`:
		ev.Data = value
		return value[0] == '{'
	case `"event_type"`:
		ev.Type, ok = s.plainType(plainText(value), types)
	case `"event_id"`:
		ev.ID, ok = parseID(string(plainText(value)))
		ok = ok && ev.ID != uuid.Nil
	case `"occurred_at"`:
		ev.OccurredAt, ok = parseTime(string(plainText(value)))
	}
	return ok
}

// plainType is the event type of a name. An array usually has many events of one type.
func (s *scratch) plainType(name []byte, types *EventTypes) (string, bool) {
	if n := len(s.events); n > 0 && s.events[n-1].Type == string(name) {
		return s.events[n-1].Type, true
	}
	return types.find(name)
}

// plainText is what a string says that has no escape sequences, and empty for all others.
func plainText(value []byte) []byte {
	if value[0] != '"' || bytes.IndexByte(value, '\\') >= 0 {
		return nil
	}
	return value[1 : len(value)-1]
}

// token reads the next token, which must be of the kind.
func (s *scratch) token(kind jsontext.Kind) bool {
	token, err := s.decoder.ReadToken()
	return err == nil && token.Kind() == kind
}

// value reads the next value, as a part of the body; it is empty if there is none.
func (s *scratch) value() []byte {
	value, err := s.decoder.ReadValue()
	if err != nil {
		return nil
	}
	end := s.decoder.InputOffset()
	return s.body[end-int64(len(value)) : end]
}
