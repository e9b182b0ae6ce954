package contracttest

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// receiver is an endpoint that keeps what it receives.
type receiver struct {
	*httptest.Server

	mu    sync.Mutex
	got   []received
	reply func(n int, w http.ResponseWriter)
}

type received struct {
	method, uri, body string
	header            http.Header
	protocol          string
}

// receive starts a receiver. It calls reply with the number of the request, from 1 on.
// Without a reply it answers 200.
func receive(t testing.TB, reply func(n int, w http.ResponseWriter)) *receiver {
	t.Helper()
	r := newReceiver(t, reply)
	r.Start()
	return r
}

// receiveTLS is receive for https, over HTTP/2. Its certificate, which r.Certificate
// returns, is for 127.0.0.1 and ::1.
func receiveTLS(t testing.TB, reply func(n int, w http.ResponseWriter)) *receiver {
	t.Helper()
	r := newReceiver(t, reply)
	r.EnableHTTP2 = true
	r.Config.ErrorLog = log.New(io.Discard, "", 0)
	r.StartTLS()
	return r
}

func newReceiver(t testing.TB, reply func(n int, w http.ResponseWriter)) *receiver {
	r := &receiver{reply: reply}
	r.Server = httptest.NewUnstartedServer(r)
	t.Cleanup(r.Close)
	return r
}

// status replies with the statuses in turn, and then always with the last.
func status(codes ...int) func(int, http.ResponseWriter) {
	return func(n int, w http.ResponseWriter) { w.WriteHeader(codes[min(n, len(codes))-1]) }
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	r.mu.Lock()
	r.got = append(r.got, received{req.Method, req.RequestURI, string(body), req.Header, req.Proto})
	n := len(r.got)
	r.mu.Unlock()
	if r.reply != nil {
		r.reply(n, w)
	}
}

func (r *receiver) received() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.got...)
}

// await waits until the receiver has received n requests, and returns them.
func (r *receiver) await(t testing.TB, n int) []received {
	t.Helper()
	eventually(t, "requests at the receiver", func() bool { return len(r.received()) >= n })
	got := r.received()
	if len(got) != n {
		t.Fatalf("%d requests at the receiver, want %d", len(got), n)
	}
	return got
}
