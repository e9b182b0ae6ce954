package api

import (
	"encoding/base64"
	"encoding/binary"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

var webhookSorts = []delivery.WebhookSort{delivery.SortOldest, delivery.SortNewest, delivery.SortURL}

// webhookPageOf reads a query; limit is 0 if all webhooks are asked for. A list by URL comes in
// pages: to send it as it is read, all of it would have to be in memory first.
func webhookPageOf(query url.Values) (f delivery.WebhookFilter, limit int, after delivery.WebhookPlace, err error) {
	f.Sort = delivery.WebhookSort(query.Get("sort"))
	if query.Has("limit") || query.Has("cursor") || f.Sort == delivery.SortURL {
		limit = defaultLimit
	}
	for name := range query {
		value, detail, ok := query.Get(name), "", true
		switch name {
		case "q":
			f.Text = value
			detail, ok = textTooLong, utf8.RuneCountInString(value) <= maxTextLength
		case "enabled":
			f.Enabled = new(value == "true")
			detail, ok = "This must be true or false.", value == "true" || value == "false"
		case "sort":
			detail, ok = "This must be created_at, -created_at or url.", slices.Contains(webhookSorts, f.Sort)
		case "limit":
			detail = "This must be a number from 1 to 200."
			limit, ok = parseLimit(value)
		case "cursor":
			detail = "This is not a cursor of a list in this order: use the next_cursor of a page, with the sort of that page."
			after, ok = decodeWebhookCursor(value, f.Sort)
		}
		if !ok {
			return f, 0, after, badParameter(name, detail)
		}
	}
	return f, limit, after, nil
}

// The first byte of a cursor of webhooks says how they are sorted. The time when the last one was
// created, in nanoseconds, its id and, if it counts, its URL follow.
const (
	webhooksByTime = 2
	webhooksByURL  = 3
)

func encodeWebhookCursor(last delivery.WebhookPlace, sort delivery.WebhookSort) string {
	raw := []byte{webhooksByTime}
	if sort == delivery.SortURL {
		raw[0] = webhooksByURL
	}
	raw = binary.BigEndian.AppendUint64(raw, uint64(last.CreatedAt.UnixNano()))
	return base64.RawURLEncoding.EncodeToString(append(append(raw, last.ID[:]...), last.URL...))
}

// decodeWebhookCursor gives the place of a cursor; false if it is none of a list in this order.
func decodeWebhookCursor(value string, sort delivery.WebhookSort) (after delivery.WebhookPlace, ok bool) {
	const head = 1 + 8 + len(uuid.UUID{})
	raw, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || len(raw) < head || sort != delivery.SortURL && len(raw) > head {
		return after, false
	}
	after = delivery.WebhookPlace{
		CreatedAt: time.Unix(0, int64(binary.BigEndian.Uint64(raw[1:]))).UTC(), ID: uuid.UUID(raw[9:head]), URL: strings.ToValidUTF8(string(raw[head:]), ""),
	}
	return after, encodeWebhookCursor(after, sort) == value // the decoder passes over line breaks
}
