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

// How the sink answers a request depends on what its path begins with.
const (
	okPath   = "/ok"   // 204
	failPath = "/fail" // 500 at an event's first attempt, then 204
	hangPath = "/hang" // no answer while the sink is hanging, else 204
)

// sink receives the deliveries of the product, and the POSTs of the bare loop. It does as
// little as it can, since its work slows down both.
type sink struct {
	url       string // of its first endpoint
	authority []byte // the PEM of the certificate of its TLS endpoints

	hanging atomic.Bool
	arrived atomic.Int64 // how many requests came, without those that hung
	hung    atomic.Int64 // how many requests hung
	numbers atomic.Int64 // how many events were given numbers
	proto   atomic.Int64 // the major version of HTTP of the last request over TLS

	tally []atomic.Uint32 // how often each event has arrived, by its number
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

// listen opens another endpoint, on a port of its own, and returns its URL.
func (s *sink) listen() (url string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := s.serve()
	go func() { _ = server.Serve(l) }() // ends with close
	return "http://" + l.Addr().String(), nil
}

// listenTLS opens an endpoint with TLS, which speaks HTTP/2 too, or HTTP/1.1 only.
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

// take reserves n consecutive numbers for events, and returns the first.
func (s *sink) take(n int) (first int) {
	return int(s.numbers.Add(int64(n))) - n + firstNumber
}

// check returns an error unless as many requests as are due have come for each of the
// events with numbers from first on.
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

// readNumber reads a body to its end, and returns the event's number, counted from 0.
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
