package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/google/uuid"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// emitSite is a site before an application that knows nothing of webhooks.
type emitSite struct {
	*caddySite
	endpoint *receiver
	config   siteConfig
}

// trafficEvent is an event that an endpoint got.
type trafficEvent struct {
	Type       string          `json:"event_type"`
	ID         uuid.UUID       `json:"event_id"`
	OccurredAt time.Time       `json:"occurred_at"`
	Data       json.RawMessage `json:"data"`
}

// startEmitSite starts a site in which $product is the application's address.
func startEmitSite(t *testing.T, product http.HandlerFunc, options, lines string) *emitSite {
	t.Helper()
	app := httptest.NewServer(product)
	t.Cleanup(app.Close)
	s := &emitSite{endpoint: newReceiver(t)}
	s.config = siteConfig{
		webhooks: s.endpoint.configOf("embedded "+t.TempDir()) + options,
		more:     "metrics /metrics\n" + strings.ReplaceAll(lines, "$product", app.URL),
	}
	s.caddySite = startSite(t, s.config)
	s.subscribe(s.endpoint)
	return s
}

// event waits for the next event.
func (s *emitSite) event() trafficEvent {
	s.t.Helper()
	var ev trafficEvent
	if err := json.Unmarshal(s.endpoint.next(s.t).body, &ev); err != nil {
		s.t.Fatal(err)
	}
	return ev
}

// counted are the outcomes of answers so far.
func (s *emitSite) counted() map[string]float64 {
	counts := make(map[string]float64)
	for name, value := range scrape(s.t, "http://"+s.addr+"/metrics") {
		if outcome, ok := strings.CutPrefix(name, `gateway_events_total{outcome="`); ok {
			counts[strings.TrimSuffix(outcome, `"}`)] = value
		}
	}
	return counts
}

// wantCounted waits until an outcome has been counted once more, and nothing else.
func (s *emitSite) wantCounted(before map[string]float64, outcome string) {
	s.t.Helper()
	var after map[string]float64
	eventually(s.t, "an answer to be counted as "+outcome, func() bool {
		after = s.counted()
		return after[outcome] != before[outcome]
	})
	for name, value := range after {
		want := before[name]
		if name == outcome {
			want++
		}
		if value != want {
			s.t.Errorf("%s: counted %v, want %v", name, value, want)
		}
	}
}

// encoded is a text in an encoding.
func encoded(t *testing.T, encoding, text string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch encoding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zstd":
		var err error
		if w, err = zstd.NewWriter(&b); err != nil {
			t.Fatal(err)
		}
	case "br":
		w = brotli.NewWriter(&b)
	default:
		return text
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// product answers as the request's headers ask: X-Status, X-Encoding, X-Body, and headers
// whose names begin with X-Set-.
func product(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		for name, values := range r.Header {
			if name, ok := strings.CutPrefix(name, "X-Set-"); ok {
				w.Header()[name] = values
			}
		}
		w.Header().Set("X-Read", fmt.Sprint(len(body)))
		encoding := r.Header.Get("X-Encoding")
		if encoding != "" {
			w.Header().Set("Content-Encoding", encoding)
		}
		status := http.StatusOK
		if text := r.Header.Get("X-Status"); text != "" {
			if status, err = strconv.Atoi(text); err != nil {
				return
			}
		}
		w.WriteHeader(status)
		if text := r.Header.Get("X-Body"); text != "" {
			_, _ = io.WriteString(w, encoded(t, encoding, text))
		}
	}
}
