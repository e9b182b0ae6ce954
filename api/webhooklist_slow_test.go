package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// unreadConn is a connection that takes nothing until its deadline, and then fails.
type unreadConn struct {
	*httptest.ResponseRecorder
	ended chan struct{}
	once  sync.Once
}

func (w *unreadConn) end() { w.once.Do(func() { close(w.ended) }) }

func (w *unreadConn) Write([]byte) (int, error) {
	<-w.ended
	return 0, os.ErrDeadlineExceeded
}

func (w *unreadConn) SetWriteDeadline(time.Time) error {
	w.end()
	return nil
}

// soloWriter is a writer as Caddy has them, whose deadlines only the goroutine that writes may
// set.
type soloWriter struct {
	t *testing.T
	http.ResponseWriter
}

func (w *soloWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *soloWriter) SetWriteDeadline(time.Time) error {
	w.t.Error("a deadline was set beside a write")
	return nil
}

// TestWebhookListUnread gives up a client that reads nothing, or that is late when it has read.
func TestWebhookListUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := &unreadConn{ResponseRecorder: httptest.NewRecorder(), ended: make(chan struct{})}
		began := time.Now()
		stop := time.AfterFunc(time.Minute, stuck.end)
		defer stop.Stop()
		longList().ServeHTTP(&soloWriter{t, stuck}, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		if took := time.Since(began); took != writePatience {
			t.Errorf("given up after %s", took)
		}
		late := &lateWriter{httptest.NewRecorder()}
		defer func() {
			if err, ok := recover().(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				t.Errorf("a list that was given up was ended as if it was whole: %v", err)
			}
		}()
		longList().ServeHTTP(late, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	})
}

// lateWriter takes everything, slowly, whatever its deadline is.
type lateWriter struct{ *httptest.ResponseRecorder }

func (w *lateWriter) Write(b []byte) (int, error) {
	time.Sleep(writePatience)
	return w.ResponseRecorder.Write(b)
}

// longList has webhooks for many pieces.
func longList() *webhookLister {
	l := &webhookLister{end: "]}"}
	for i := range 1000 {
		l.found.Webhooks = append(l.found.Webhooks, &delivery.Webhook{
			ID: delivery.NewID(time.Now()), URL: fmt.Sprint("https://example.com/", i), Description: strings.Repeat("x", 1000),
		})
	}
	return l
}
