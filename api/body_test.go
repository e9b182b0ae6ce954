package api_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

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
			body, rest := io.Pipe()
			defer rest.Close()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/hooks/api/events", body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", asEmitter)
			req.Header.Set("Content-Type", "application/json")
			go func() { // the pipe is closed in the end
				_, _ = io.WriteString(rest, `{"event_type":"group_created","event_id":"`+noID+`","data":{`)
			}()
			res, err := s.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			content, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			reply{res.StatusCode, res.Header, content}.wantProblem(t, http.StatusRequestTimeout)
			if got := <-s.refused; got != "1 408" {
				t.Errorf("refused are %s", got)
			}
			s.admin("GET", "api/events/"+noID, "").wantProblem(t, 404)
		})
	}
}
