package main

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
)

func startTestSink(t *testing.T) *rig {
	t.Helper()
	s, err := startSink()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return &rig{sink: s, token: "secret"}
}

func TestSinkTellsWhatIsLostAndWhatComesTwice(t *testing.T) {
	t.Parallel()
	r := startTestSink(t)
	post := func(number int) {
		t.Helper()
		if err := r.barePost(t.Context(), appendDelivered(nil, number)); err != nil {
			t.Fatal(err)
		}
	}
	first := r.sink.take(3)
	post(first)
	post(first + 1)
	post(first + 1)
	if err := r.sink.check(first, 2, 1); err == nil || !strings.Contains(err.Error(), "0 were lost and 1 came twice") {
		t.Errorf("with an event that came twice: %v", err)
	}
	if err := r.sink.check(first, 3, 1); err == nil || !strings.Contains(err.Error(), "1 were lost and 1 came twice") {
		t.Errorf("with an event that did not come, too: %v", err)
	}
	post(first + 2)
	if err := r.sink.check(first+2, 1, 1); err != nil {
		t.Errorf("with an event that came once: %v", err)
	}
	if arrived := r.sink.arrived.Load(); arrived != 4 {
		t.Errorf("4 requests were counted as %d", arrived)
	}
}

// A request that has no event of the run must not be counted.
func TestSinkRefusesWhatIsNoEvent(t *testing.T) {
	t.Parallel()
	r := startTestSink(t)
	for _, body := range []string{
		"", "{}", `{"data":{"n":1,"x":2}}`, `{"data":{"n":10000000}}`, `{"data":{"n":18388608,"x":2}}`,
		string(appendDelivered(nil, firstNumber)) + strings.Repeat(" ", 4096),
	} {
		resp, err := http.Post(r.sink.url+okPath, "application/json", bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%.40q was answered %s", body, resp.Status)
		}
	}
	if arrived := r.sink.arrived.Load(); arrived != 0 {
		t.Errorf("%d requests were counted", arrived)
	}
}
