package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// receiver is an endpoint of webhooks: it takes what carries a good signature.
type receiver struct {
	url    string
	secret string
	server *http.Server

	mu     sync.Mutex
	signed map[string][]bool // by event: whether each of its requests was signed well
	failed bool              // the one failure has been played
	out    io.Writer         // where to tell of each request, nil for nowhere
}

func startReceiver(secret string) (*receiver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("the receiver found no free port: %w", err)
	}
	r := newReceiver(secret)
	r.url = "http://" + listener.Addr().String() + "/webhook"
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := r.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			r.tell("The receiver stopped: %v\n", err)
		}
	}()
	return r, nil
}

func newReceiver(secret string) *receiver {
	return &receiver{secret: secret, signed: make(map[string][]bool)}
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, 1<<20))
	if err != nil {
		http.Error(w, "the body is too long or did not arrive", http.StatusBadRequest)
		return
	}
	var event struct {
		ID   string `json:"event_id"`
		Type string `json:"event_type"`
	}
	// What is in the body counts for nothing until the signature has been checked.
	good := verify(r.secret, body, req.Header.Get("X-Level-Signature"))
	if err := json.Unmarshal(body, &event); err != nil && good {
		http.Error(w, "this is not an event", http.StatusBadRequest)
		return
	}
	code := r.judge(event.ID, event.Type, good)
	mark := "signature ✓"
	if !good {
		mark = "signature ✗"
	}
	r.tell("%s  %s  %s  answered %d\n", time.Now().Format(clock), event.Type, mark, code)
	if code == http.StatusNoContent {
		w.WriteHeader(code)
		return
	}
	http.Error(w, http.StatusText(code), code)
}

// verify says whether signature is that of body under secret, in a time that
// tells nothing about the right one.
func verify(secret string, body []byte, signature string) bool {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	want := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(signature), []byte(want))
}

// judge notes a request and chooses the status code of its answer.
func (r *receiver) judge(eventID, eventType string, good bool) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.signed[eventID] = append(r.signed[eventID], good)
	switch {
	case !good:
		return http.StatusUnauthorized
	case eventType == failsOnce && !r.failed:
		r.failed = true
		return http.StatusInternalServerError
	}
	return http.StatusNoContent
}

// verdicts says of each event's requests, in their order, whether they were
// signed well.
func (r *receiver) verdicts() map[string][]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	verdicts := maps.Clone(r.signed)
	for id := range verdicts {
		verdicts[id] = slices.Clone(verdicts[id])
	}
	return verdicts
}

// report makes the receiver tell of each request from now on.
func (r *receiver) report(out io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out = out
}

func (r *receiver) tell(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.out != nil {
		fmt.Fprintf(r.out, format, args...)
	}
}

func (r *receiver) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if r.server.Shutdown(ctx) != nil {
		_ = r.server.Close()
	}
}
