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

// receiver is an endpoint that accepts requests with a good signature.
type receiver struct {
	url    string
	secret string
	server *http.Server

	mu     sync.Mutex
	signed map[string][]bool // for each event, whether the signature of each request was good
	failed bool              // whether the one failure has happened
	out    io.Writer         // gets a line for each request, unless it is nil
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
	// Trust nothing in the body before the signature has been checked.
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

// verify reports whether the signature is the one of the body, made with the secret. The
// time that it takes does not give the right signature away.
func verify(secret string, body []byte, signature string) bool {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	want := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(signature), []byte(want))
}

// judge notes a request, and chooses the status code of the answer.
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

// verdicts says for each event, request by request, whether the signature was good.
func (r *receiver) verdicts() map[string][]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	verdicts := maps.Clone(r.signed)
	for id := range verdicts {
		verdicts[id] = slices.Clone(verdicts[id])
	}
	return verdicts
}

// report makes the receiver print a line for each request from now on.
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
