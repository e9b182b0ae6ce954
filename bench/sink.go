package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Paths of the sink, each of which begins what a webhook's may be.
const (
	okPath   = "/ok"   // 204
	failPath = "/fail" // 500 at an event's first attempt, then 204
	hangPath = "/hang" // no answer while sink.hanging, else 204
)

// sink receives what is delivered, by the product or by the bare loop, and does
// as little as it can: all that it does costs both the same.
type sink struct {
	url       string // of its first endpoint
	authority []byte // PEM of what its TLS endpoints' certificate is trusted by

	hanging atomic.Bool
	arrived atomic.Int64 // requests but for those that hang
	hung    atomic.Int64 // requests that hang or did
	numbers atomic.Int64 // how many numbers were given to events
	proto   atomic.Int64 // the major version of HTTP of the last request over TLS

	tally []atomic.Uint32 // by number: how often an event arrived
	times atomic.Pointer[times]

	certificate tls.Certificate
	mu          sync.Mutex
	servers     []*http.Server
}

func startSink() (*sink, error) {
	s := &sink{tally: make([]atomic.Uint32, mostNumbers)}
	var err error
	if s.certificate, s.authority, err = selfSigned(); err != nil {
		return nil, err
	}
	s.url, err = s.listen()
	return s, err
}

// listen opens another endpoint, as if it were another host, and returns its URL.
func (s *sink) listen() (url string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := s.serve()
	go func() { _ = server.Serve(l) }() // ends with close
	return "http://" + l.Addr().String(), nil
}

// listenTLS does so with TLS, where HTTP/2 is spoken, or only HTTP/1.1.
func (s *sink) listenTLS(http2 bool) (url string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := s.serve()
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{s.certificate}, MinVersion: tls.VersionTLS12}
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(http2)
	go func() { _ = server.ServeTLS(l, "", "") }() // ends with close
	return "https://" + l.Addr().String(), nil
}

func (s *sink) serve() *http.Server {
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.servers = append(s.servers, server)
	return server
}

func (s *sink) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, server := range s.servers {
		_ = server.Close()
	}
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t := s.times.Load()
	var at time.Time
	if t != nil {
		at = time.Now()
	}
	i, err := readNumber(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.TLS != nil {
		s.proto.Store(int64(r.ProtoMajor))
	}
	if strings.HasPrefix(r.URL.Path, hangPath) && s.hanging.Load() {
		s.hung.Add(1)
		<-r.Context().Done()
		return
	}
	before := s.tally[i].Add(1) - 1
	if t != nil {
		t.arrived(i, at)
	}
	s.arrived.Add(1)
	if before == 0 && strings.HasPrefix(r.URL.Path, failPath) {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// take gives n numbers to events that are about to be made, from the first on.
func (s *sink) take(n int) (first int) {
	return int(s.numbers.Add(int64(n))) - n + firstNumber
}

// check says how many of the requests that were due for events with numbers from
// first on did not come, and how many came that were not due.
func (s *sink) check(first, events, due int) error {
	if s.numbers.Load() > mostNumbers {
		return fmt.Errorf("there are numbers for %d events only", mostNumbers)
	}
	lost, doubled := 0, 0
	for i := range events {
		came := int(s.tally[first-firstNumber+i].Load())
		lost += max(0, due-came)
		doubled += max(0, came-due)
	}
	if lost+doubled > 0 {
		return fmt.Errorf("of %d requests, %d were lost and %d came twice", events*due, lost, doubled)
	}
	return nil
}

var (
	buffers   = sync.Pool{New: func() any { return new([4096]byte) }}
	mark      = []byte(dataBegin)
	errNumber = errors.New("not an event of this benchmark")
)

// readNumber reads a body to its end, and finds the event's number in it, counted
// from 0.
func readNumber(body io.Reader) (int, error) {
	buffer := buffers.Get().(*[4096]byte)
	defer buffers.Put(buffer)
	n, err := io.ReadFull(body, buffer[:])
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, errNumber
	}
	_, rest, _ := bytes.Cut(buffer[:n], mark)
	digits, _, _ := bytes.Cut(rest, []byte(","))
	number, err := strconv.Atoi(string(digits))
	if i := number - firstNumber; err == nil && i >= 0 && i < mostNumbers {
		return i, nil
	}
	return 0, errNumber
}
