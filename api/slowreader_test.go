package api

import (
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// stuckWriter is to a client that reads nothing more after the first piece.
type stuckWriter struct {
	header http.Header
	pieces int
	ended  chan struct{}
}

func (w *stuckWriter) Header() http.Header { return w.header }
func (w *stuckWriter) WriteHeader(int)     {}

func (w *stuckWriter) Write(piece []byte) (int, error) {
	if w.pieces++; w.pieces == 1 {
		return len(piece), nil
	}
	<-w.ended
	return 0, os.ErrDeadlineExceeded
}

func (w *stuckWriter) SetWriteDeadline(time.Time) error {
	close(w.ended)
	return nil
}

// TestListIsNotRead sends a long list to a client that does not read it: it is given up.
func TestListIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		webhooks := make([]*delivery.Webhook, 3000)
		for i := range webhooks {
			webhooks[i] = &delivery.Webhook{ID: delivery.NewID(time.Now()), URL: "https://example.com/"}
		}
		w := &stuckWriter{header: make(http.Header), ended: make(chan struct{})}
		began := time.Now()
		(&webhookLister{found: delivery.FoundWebhooks{Webhooks: webhooks}, end: "]}"}).ServeHTTP(w, new(http.Request))
		if took := time.Since(began); w.pieces != 2 || took < writePatience || took > 2*writePatience {
			t.Errorf("%d pieces were sent in %s", w.pieces, took)
		}
	})
}
