package api

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

var webhookParameters = []string{"limit", "cursor"}

// webhookList is what webhookLister writes.
type webhookList struct {
	Data       []webhook `json:"data"`
	NextCursor *string   `json:"next_cursor,omitzero"` // null on the last page, and missing if all are listed
}

// listWebhooks handles GET /api/webhooks.
func listWebhooks(ctx context.Context, c *call) (response, error) {
	limit, after, err := webhookPageOf(c.query)
	if err != nil {
		return response{}, err
	}
	webhooks, err := c.api.Engine.Webhooks(ctx, c.Tenant)
	if err != nil {
		return response{}, err
	}
	if limit == 0 {
		return response{other: &webhookLister{webhooks: webhooks, end: "]}"}}, nil
	}
	page, more := webhookPage(webhooks, after, limit)
	end := `],"next_cursor":null}`
	if more {
		end = `],"next_cursor":"` + encodeWebhookCursor(page[len(page)-1]) + `"}`
	}
	return response{other: &webhookLister{webhooks: page, end: end}}, nil
}

// webhookPageOf reads a query; limit is 0 if all webhooks are asked for.
func webhookPageOf(query url.Values) (limit int, after *delivery.Webhook, err error) {
	if len(query) > 0 {
		limit = defaultLimit
	}
	if value := query.Get("limit"); value != "" {
		var ok bool
		if limit, ok = parseLimit(value); !ok {
			return 0, nil, badParameter("limit", "This must be a number from 1 to 200.")
		}
	}
	if value := query.Get("cursor"); value != "" {
		if after = decodeWebhookCursor(value); after == nil {
			return 0, nil, badParameter("cursor", "This is not a cursor: use the next_cursor of a page.")
		}
	}
	return limit, after, nil
}

// webhookPage is a page of webhooks, which are sorted, behind one that may be gone by now.
func webhookPage(webhooks []*delivery.Webhook, after *delivery.Webhook, limit int) (page []*delivery.Webhook, more bool) {
	if after != nil {
		i, found := slices.BinarySearchFunc(webhooks, after, delivery.OldestFirst)
		if found {
			i++
		}
		webhooks = webhooks[i:]
	}
	return webhooks[:min(limit, len(webhooks))], len(webhooks) > limit
}

// webhookCursorVersion is the first byte of a cursor of webhooks; the time when the last one
// was created, in nanoseconds, and its id follow.
const webhookCursorVersion = 2

func encodeWebhookCursor(w *delivery.Webhook) string {
	raw := binary.BigEndian.AppendUint64([]byte{webhookCursorVersion}, uint64(w.CreatedAt.UnixNano()))
	return base64.RawURLEncoding.EncodeToString(append(raw, w.ID[:]...))
}

// decodeWebhookCursor gives a webhook that sorts as the one of the cursor; nil if it is none.
func decodeWebhookCursor(value string) *delivery.Webhook {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || len(raw) != 1+8+len(uuid.UUID{}) || raw[0] != webhookCursorVersion {
		return nil
	}
	w := &delivery.Webhook{ID: uuid.UUID(raw[9:]), CreatedAt: time.Unix(0, int64(binary.BigEndian.Uint64(raw[1:])))}
	if encodeWebhookCursor(w) != value { // the decoder passes over line breaks
		return nil
	}
	return w
}

// listPiece is how many bytes of a list are encoded before they are sent.
const listPiece = 64 << 10

// webhookLister writes a list as it encodes it. A client that reads too slowly is given up,
// since what it was not sent yet stays in memory.
type webhookLister struct {
	webhooks []*delivery.Webhook
	end      string // what follows the last one
}

// ServeHTTP writes a list that is short in one piece, with its length.
func (l *webhookLister) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	piece := bytes.NewBufferString(`{"data":[`)
	rest := l.encode(piece, l.webhooks)
	if rest == nil {
		_ = writeJSON(w, http.StatusOK, "application/json", rawJSON(piece.Bytes()))
		return
	}
	setHeaders(w.Header(), "Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	l.end += "\n" // as writeJSON does
	reading := &arrival{writes: true}
	reading.begin(w, writePatience, 0)
	defer reading.end()
	var sent int64
	for {
		n, err := piece.WriteTo(w)
		if sent += n; err != nil || rest == nil {
			return
		}
		reading.grow(sent)
		rest = l.encode(piece, rest)
	}
}

// encode encodes webhooks until there is enough for a piece, and returns those that are left;
// nil if none is, and the end is written.
func (l *webhookLister) encode(piece *bytes.Buffer, webhooks []*delivery.Webhook) (rest []*delivery.Webhook) {
	for i, w := range webhooks {
		if piece.Len() >= listPiece {
			return webhooks[i:]
		}
		if last := piece.Bytes(); len(last) == 0 || last[len(last)-1] != '[' {
			piece.WriteByte(',')
		}
		encoded, _ := json.Marshal(newWebhook(w), json.Deterministic(true), jsontext.AllowInvalidUTF8(true)) // which cannot fail
		piece.Write(encoded)
	}
	piece.WriteString(l.end)
	return nil
}
