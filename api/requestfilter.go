package api

import (
	"encoding/base64"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// How many rows a page may have; a query also names as many webhooks at most.
const (
	defaultLimit = 50
	maxLimit     = 200
)

var requestParameters = append([]string{"webhook_id", "event_id", "event_type", "status", "since", "until", "limit", "cursor"}, findParameters...)

// filterOf reads a query. It chooses none if the nil UUID is asked for, which is
// nobody's and means no filter to the engine.
func filterOf(query url.Values) (f delivery.RequestFilter, none bool, err error) {
	f.Limit = defaultLimit
	for name := range query {
		if err := setFilter(&f, name, query.Get(name)); err != nil {
			return f, false, err
		}
	}
	return f, query.Has("webhook_id") && f.WebhookID == uuid.Nil || query.Has("event_id") && f.EventID == uuid.Nil, nil
}

// setFilter sets one query parameter, unless it is no filter.
func setFilter(f *delivery.RequestFilter, name, value string) error {
	var ok bool
	detail := "This must be a UUID of 36 characters."
	switch name {
	case "webhook_id":
		f.WebhookID, ok = parseID(value)
	case "event_id":
		f.EventID, ok = parseID(value)
	case "event_type":
		f.EventType = value
		ok = checkEventType(value) == nil
		detail = "This is not the name of an event type."
	case "status":
		f.Status = delivery.RequestStatus(value)
		ok = f.Status == delivery.RequestSuccess || f.Status == delivery.RequestFailed
		detail = "This must be success or failed."
	case "since":
		f.Since, ok = parseBound(value)
		detail = "This must be an RFC 3339 time, such as 2026-03-13T18:30:00Z, with + written as %2B."
	case "until":
		f.Until, ok = parseBound(value)
		detail = "This must be an RFC 3339 time, such as 2026-03-13T18:30:00Z, with + written as %2B."
	case "limit":
		f.Limit, ok = parseLimit(value)
		detail = "This must be a number from 1 to 200."
	case "cursor":
		f.Before, ok = decodeCursor(value)
		detail = "This is not a cursor: use the next_cursor of a page."
	default:
		detail, ok = setFind(f, name, value)
	}
	if !ok {
		return badParameter(name, detail)
	}
	return nil
}

// parseBound takes a bound of started_at. Nothing was sent before 1970, where the
// clock in the rows' ids begins.
func parseBound(value string) (time.Time, bool) {
	t, ok := parseTime(value)
	if ok && t.Before(time.UnixMilli(0)) {
		t = time.UnixMilli(0).UTC()
	}
	return t, ok
}

func parseLimit(value string) (int, bool) {
	for _, r := range value {
		if r < '0' || r > '9' {
			return 0, false
		}
	}
	n, err := strconv.Atoi(value)
	return n, err == nil && n >= 1 && n <= maxLimit
}

// cursorVersion is the first byte of a cursor; the id of a row follows.
const cursorVersion = 1

func encodeCursor(id uuid.UUID) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{cursorVersion}, id[:]...))
}

// nextCursor is the cursor of the page behind a row; nil if there is no row, and so no such page.
func nextCursor(last uuid.UUID) *string {
	if last == uuid.Nil {
		return nil
	}
	return new(encodeCursor(last))
}

func decodeCursor(value string) (uuid.UUID, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || len(raw) != 1+len(uuid.UUID{}) || raw[0] != cursorVersion {
		return uuid.Nil, false
	}
	id := uuid.UUID(raw[1:])
	// The decoder passes over line breaks; a cursor that we did not make is none.
	return id, id != uuid.Nil && encodeCursor(id) == value
}
