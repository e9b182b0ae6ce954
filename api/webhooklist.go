package api

import (
	"bytes"
	"cmp"
	"context"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

var webhookParameters = []string{"q", "enabled", "sort", "limit", "cursor"}

// webhookList is what webhookLister writes.
type webhookList struct {
	Data       []webhook `json:"data"`
	NextCursor *string   `json:"next_cursor,omitzero"` // null on the last page, and missing if all are listed
}

// listWebhooks handles GET /api/webhooks.
func listWebhooks(ctx context.Context, c *call) (response, error) {
	filter, limit, after, err := webhookPageOf(c.query)
	if err != nil {
		return response{}, err
	}
	read := func(ctx context.Context, after delivery.WebhookPlace, limit int) (delivery.FoundWebhooks, error) {
		return c.api.Engine.FindWebhooks(ctx, c.Tenant, filter, after, limit)
	}
	found, err := read(ctx, after, cmp.Or(limit, listStep))
	if err != nil {
		return response{}, err
	}
	list := &webhookLister{found: found, end: "]}"}
	switch {
	case limit == 0:
		list.read = read
	case found.More:
		list.end = `],"next_cursor":"` + encodeWebhookCursor(found.Next, filter.Sort) + `"}`
	default:
		list.end = `],"next_cursor":null}`
	}
	return response{other: list}, nil
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
	found delivery.FoundWebhooks // not encoded yet
	end   string                 // what follows the last one
	// read reads those that follow, nil if they are not wanted.
	read func(ctx context.Context, after delivery.WebhookPlace, limit int) (delivery.FoundWebhooks, error)
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
		for i, w := range l.found.Webhooks {
			if piece.Len() >= listPiece {
				l.found.Webhooks = l.found.Webhooks[i:]
				return false, nil
			}
			if last := piece.Bytes(); len(last) == 0 || last[len(last)-1] != '[' {
				piece.WriteByte(',')
			}
			encoded, _ := json.Marshal(newWebhook(w), json.Deterministic(true), jsontext.AllowInvalidUTF8(true)) // which cannot fail
			piece.Write(encoded)
		}
		if l.read == nil || !l.found.More {
			piece.WriteString(l.end)
			return true, nil
		}
		if l.found, err = l.read(ctx, l.found.Next, listStep); err != nil {
			return false, err
		}
	}
}
