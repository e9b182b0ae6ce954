package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// sink receives what is delivered. A request to /ok is answered 204, to /fail 500,
// to /hang not at all.
type sink struct {
	url    string
	server *http.Server
	total  atomic.Int64 // requests

	mu       sync.Mutex
	latency  []time.Duration // of requests to /ok, from the making of the event
	received map[string][]time.Time
}

func startSink() (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{url: "http://" + l.Addr().String(), received: make(map[string][]time.Time)}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.server.Serve(l) }() // ends with close
	return s, nil
}

func (s *sink) close() { _ = s.server.Close() }

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	s.total.Add(1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var e struct {
		ID   string `json:"event_id"`
		Data struct {
			Made int64 `json:"made"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	switch {
	case strings.HasPrefix(r.URL.Path, "/hang"):
		<-r.Context().Done()
	case strings.HasPrefix(r.URL.Path, "/fail"):
		s.mu.Lock()
		s.received[e.ID] = append(s.received[e.ID], at)
		s.mu.Unlock()
		w.WriteHeader(http.StatusInternalServerError)
	default:
		s.mu.Lock()
		s.latency = append(s.latency, at.Sub(time.Unix(0, e.Data.Made)))
		s.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *sink) count() int { return int(s.total.Load()) }

// latencies takes what was measured since the last question.
func (s *sink) latencies() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.latency
	s.latency = nil
	return taken
}
