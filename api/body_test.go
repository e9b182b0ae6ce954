package api_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

// begin makes a call whose body does not go on, and reads the answer. The length is that which
// the call says, or -1 for none.
func (s *site) begin(path, who, beginning string, length int64) reply {
	s.t.Helper()
	body, rest := io.Pipe()
	defer rest.Close()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/hooks/"+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	req.ContentLength = length
	req.Header.Set("Authorization", who)
	req.Header.Set("Content-Type", "application/json")
	go func() { // the pipe is closed in the end
		_, _ = io.WriteString(rest, beginning)
	}()
	res, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, content}
}

// TestBodyStalls sends half an event and then nothing more: when the server's patience
// ends, the emitter is told to send it again, and nothing of it is stored.
func TestBodyStalls(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP/2 %t", http2), func(t *testing.T) {
			c := newConfig()
			c.http2 = http2
			c.before = func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost {
					return
				}
				if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
					t.Error(err)
				}
			}
			s := start(t, c)
			s.begin("api/events", asEmitter, `{"event_type":"group_created","event_id":"`+noID+`","data":{`, -1).wantProblem(t, http.StatusRequestTimeout)
			if got := <-s.refused; got != "1 408" {
				t.Errorf("refused are %s", got)
			}
			s.admin("GET", "api/events/"+noID, "").wantProblem(t, 404)
		})
	}
}

// TestBodyIsLate sends a part of a body and then nothing more, with and without its length:
// it is given up by our own deadline, and the connection is good for no other call.
func TestBodyIsLate(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		for _, length := range []int64{-1, 1000, 100_000} {
			t.Run(fmt.Sprintf("HTTP/2 %t, %d bytes", http2, length), func(t *testing.T) {
				c := newConfig()
				c.http2 = http2
				c.intake = api.NewIntake()
				c.intake.Patience = 50 * time.Millisecond
				s := start(t, c)
				for _, call := range []struct{ who, path, body string }{
					{asEmitter, "api/events", `{"event_type":"group_created","event_id":"` + noID + `","data":{`},
					{asAdmin, "api/webhooks", `{"url":"https://exam`},
				} {
					s.begin(call.path, call.who, call.body, length).wantProblem(t, http.StatusRequestTimeout)
				}
				s.admin("GET", "api/events/"+noID, "").wantProblem(t, 404)
				s.admin("GET", "api/webhooks", "").want(t, 200, nil)
				s.emit(`{"event_type":"group_created","data":{}}`).want(t, 202, nil)
			})
		}
	}
}

// TestNoRoomForBodies has more large bodies under way than there is room for: those that find
// none are refused, those of other tenants and small ones are not, and all is well once they
// have gone.
func TestNoRoomForBodies(t *testing.T) {
	c := newConfig()
	c.intake = api.NewIntake()
	s := start(t, c)
	event := `{"event_type":"group_created","data":{"text":"` + strings.Repeat("x", 100_000) + `"}}`
	large := "[" + strings.TrimSuffix(strings.Repeat(event+",", 155), ",") + "]"
	begun := make([]*io.PipeWriter, 2)
	for i := range begun {
		var body *io.PipeReader
		body, begun[i] = io.Pipe()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/hooks/api/events", body)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = int64(len(large))
		req.Header.Set("Authorization", asEmitter)
		req.Header.Set("Content-Type", "application/json")
		go func() {
			res, err := s.client.Do(req)
			if err == nil {
				res.Body.Close()
			}
		}()
		if _, err := io.WriteString(begun[i], large[:1000]); err != nil {
			t.Fatal(err)
		}
	}
	var got reply
	eventually(t, "the bodies to be read", func() bool {
		got = s.emit(large)
		return got.status != http.StatusAccepted
	})
	got.wantProblem(t, http.StatusTooManyRequests)
	if got.header.Get("Retry-After") != "1" || <-s.refused != "1 429" || <-s.throttled != "bodies" {
		t.Errorf("Retry-After is %q", got.header.Get("Retry-After"))
	}
	if n := s.log.FilterMessageSnippet("calls are refused").Len(); n != 1 {
		t.Errorf("the log says so %d times", n)
	}
	s.emit(`{"event_type":"group_created","data":{}}`).want(t, 202, nil)
	s.do("POST", "/hooks/api/events", large, "Authorization", asEmitter, "X-Tenant", "other").want(t, 202, nil)
	for i := range begun {
		_ = begun[i].CloseWithError(io.ErrUnexpectedEOF) // which breaks the call off
	}
	s.emit(large).want(t, 202, nil)
}
