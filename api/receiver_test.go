package api_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// receiver is an endpoint that keeps what it gets.
type receiver struct {
	*httptest.Server
	got    chan string // bodies
	status atomic.Int64
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{got: make(chan string, 10_000)}
	r.status.Store(http.StatusOK)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		r.got <- string(body)
		w.WriteHeader(int(r.status.Load()))
	}))
	t.Cleanup(r.Close)
	return r
}

// next waits for the next request, and gives its body.
func (r *receiver) next(t *testing.T) string {
	t.Helper()
	select {
	case body := <-r.got:
		return body
	case <-time.After(patience):
		t.Fatal("waited in vain for a request")
		return ""
	}
}
