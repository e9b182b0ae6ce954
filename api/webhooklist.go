package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/url"
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
	read := func(ctx context.Context, after delivery.WebhookPlace, limit int) ([]*delivery.Webhook, bool, error) {
		return c.api.Engine.WebhookPage(ctx, c.Tenant, after, limit)
	}
	webhooks, more, err := read(ctx, after, cmp.Or(limit, listStep))
	if err != nil {
		return response{}, err
	}
	list := &webhookLister{webhooks: webhooks, end: "]}"}
	switch {
	case limit == 0 && more:
		list.read = read
	case limit == 0:
	case more:
		list.end = `],"next_cursor":"` + encodeWebhookCursor(webhooks[len(webhooks)-1]) + `"}`
	default:
		list.end = `],"next_cursor":null}`
	}
	return response{other: list}, nil
}

// webhookPageOf reads a query; limit is 0 if all webhooks are asked for.
func webhookPageOf(query url.Values) (limit int, after delivery.WebhookPlace, err error) {
	if len(query) > 0 {
		limit = defaultLimit
	}
	if value := query.Get("limit"); value != "" {
		var ok bool
		if limit, ok = parseLimit(value); !ok {
			return 0, after, badParameter("limit", "This must be a number from 1 to 200.")
		}
	}
	if value := query.Get("cursor"); value != "" {
		var ok bool
		if after, ok = decodeWebhookCursor(value); !ok {
			return 0, after, badParameter("cursor", "This is not a cursor: use the next_cursor of a page.")
		}
	}
	return limit, after, nil
}

// webhookCursorVersion is the first byte of a cursor of webhooks; the time when the last one
// was created, in nanoseconds, and its id follow.
const webhookCursorVersion = 2

func encodeWebhookCursor(w *delivery.Webhook) string {
	raw := binary.BigEndian.AppendUint64([]byte{webhookCursorVersion}, uint64(w.CreatedAt.UnixNano()))
	return base64.RawURLEncoding.EncodeToString(append(raw, w.ID[:]...))
}

// decodeWebhookCursor gives the place of a cursor; false if it is none.
func decodeWebhookCursor(value string) (after delivery.WebhookPlace, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || len(raw) != 1+8+len(uuid.UUID{}) || raw[0] != webhookCursorVersion {
		return after, false
	}
	w := &delivery.Webhook{ID: uuid.UUID(raw[9:]), CreatedAt: time.Unix(0, int64(binary.BigEndian.Uint64(raw[1:])))}
	return w.Place(), encodeWebhookCursor(w) == value // the decoder passes over line breaks
}

const (
	// listPiece is how many bytes of a list are encoded before they are sent.
	listPiece = 64 << 10
	// listStep is how many webhooks of a long list are read before they are sent.
	listStep = 4 * delivery.MaxWebhookPage
)

// webhookLister writes a list as it reads and encodes it: all webhooks of a tenant may take
// 60 MB. A client that reads too slowly is given up.
type webhookLister struct {
	webhooks []*delivery.Webhook // not encoded yet
	end      string              // what follows the last one
	// read reads those that follow; nil if there are none.
	read func(ctx context.Context, after delivery.WebhookPlace, limit int) ([]*delivery.Webhook, bool, error)
}

// ServeHTTP writes a list that is short in one piece, with its length. If a long one cannot be
// read to its end, the response is cut off.
func (l *webhookLister) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	piece := bytes.NewBufferString(`{"data":[`)
	ended, err := l.encode(r.Context(), piece)
	if ended {
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
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		n, failed := piece.WriteTo(w)
		if sent += n; failed != nil || ended {
			return
		}
		if !reading.pause(sent, func() { ended, err = l.encode(r.Context(), piece) }) {
			panic(http.ErrAbortHandler) // it is late, and must not seem to be whole
		}
	}
}

// encode encodes webhooks until there is enough for a piece, or the end is written.
func (l *webhookLister) encode(ctx context.Context, piece *bytes.Buffer) (ended bool, err error) {
	for {
		for i, w := range l.webhooks {
			if piece.Len() >= listPiece {
				l.webhooks = l.webhooks[i:]
				return false, nil
			}
			if last := piece.Bytes(); len(last) == 0 || last[len(last)-1] != '[' {
				piece.WriteByte(',')
			}
			encoded, _ := json.Marshal(newWebhook(w), json.Deterministic(true), jsontext.AllowInvalidUTF8(true)) // which cannot fail
			piece.Write(encoded)
		}
		if l.read == nil {
			piece.WriteString(l.end)
			return true, nil
		}
		webhooks, more, err := l.read(ctx, l.webhooks[len(l.webhooks)-1].Place(), listStep)
		if err != nil {
			return false, err
		}
		if l.webhooks = webhooks; !more {
			l.read = nil
		}
	}
}
