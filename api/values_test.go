package api

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

func TestCursor(t *testing.T) {
	id := delivery.NewID(time.Now())
	if got, ok := decodeCursor(encodeCursor(id)); !ok || got != id {
		t.Errorf("got %s, %t", got, ok)
	}
	for _, cursor := range []string{
		"x", "!!!!", encodeCursor(id) + "A", encodeCursor(id)[1:], id.String(), encodeCursor(uuid.Nil),
		"Ag" + encodeCursor(id)[2:], encodeCursor(id) + "=",
	} {
		if _, ok := decodeCursor(cursor); ok {
			t.Errorf("%q was taken", cursor)
		}
	}
}

func TestParseLimit(t *testing.T) {
	for value, want := range map[string]int{"1": 1, "50": 50, "200": 200} {
		if got, ok := parseLimit(value); !ok || got != want {
			t.Errorf("%q: got %d, %t", value, got, ok)
		}
	}
	for _, value := range []string{"0", "201", "-1", "+5", "1.5", "1e2", " 5", "x", "99999999999999999999", "٣"} {
		if _, ok := parseLimit(value); ok {
			t.Errorf("%q was taken", value)
		}
	}
}

func TestParseTime(t *testing.T) {
	for value, want := range map[string]string{
		"2026-03-13T18:30:00Z":           "2026-03-13T18:30:00Z",
		"2026-03-13T18:30:00.123456789Z": "2026-03-13T18:30:00.123456789Z",
		"2026-03-13T18:30:00+02:00":      "2026-03-13T16:30:00Z",
		"1969-12-31T23:59:59Z":           "1969-12-31T23:59:59Z",
		"2024-02-29T00:00:00-00:00":      "2024-02-29T00:00:00Z",
	} {
		if got, ok := parseTime(value); !ok || got.Format(time.RFC3339Nano) != want {
			t.Errorf("%q: got %s, %t", value, got, ok)
		}
	}
	for _, value := range []string{
		"", "now", "1773426600", "2026-03-13", "2026-03-13T18:30:00", "2026-03-13 18:30:00Z", "2026-03-13T8:30:00Z",
		"2026-03-13T18:30:00,5Z", "2026-02-29T00:00:00Z", "2026-03-13T24:00:00Z", "2026-03-13T18:30:00+25:00",
		"0001-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00", "2026-03-13T18:30:00Z ",
	} {
		if got, ok := parseTime(value); ok {
			t.Errorf("%q was taken as %s", value, got)
		}
	}
	if got, ok := parseBound("1900-01-01T00:00:00Z"); !ok || got.UnixMilli() != 0 {
		t.Errorf("got %s, %t", got, ok)
	}
}

func TestParseID(t *testing.T) {
	const id = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
	for _, value := range []string{id, "0190A1B2-C3D4-7E5F-8A9B-0C1D2E3F4A5B"} {
		if got, ok := parseID(value); !ok || got.String() != id {
			t.Errorf("%q: got %s, %t", value, got, ok)
		}
	}
	for _, value := range []string{
		"", "x", "{" + id + "}", "urn:uuid:" + id, "0190a1b2c3d47e5f8a9b0c1d2e3f4a5b",
		"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5g", "0190a1b2+c3d4-7e5f-8a9b-0c1d2e3f4a5b",
	} {
		if _, ok := parseID(value); ok {
			t.Errorf("%q was taken", value)
		}
	}
}
