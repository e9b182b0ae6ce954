package delivery

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// TestTokenOfAnother has a request wait for a token that another one fetches, which has less time:
// when that is over, the first fetches one itself.
func TestTokenOfAnother(t *testing.T) {
	t.Parallel()
	asked, release := make(chan struct{}), make(chan struct{})
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			close(asked)
			select {
			case <-release:
			case <-r.Context().Done():
			}
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"token","token_type":"Bearer"}`)
	}))
	t.Cleanup(server.Close)
	defer close(release)
	s := localSender(t)
	tokens := &tokens{of: &Authorization{Type: OAuth2Authorization, TokenURL: server.URL, ClientID: "me", Credential: clientSecret}}
	hurried := sender.Message{Timeout: time.Second, Deadline: time.Now().Add(time.Second)}
	ended := make(chan sender.Response)
	go func() {
		_, failed := tokens.get(t.Context(), s, &hurried, "")
		ended <- failed
	}()
	<-asked
	patient := sender.Message{Timeout: time.Minute, Deadline: time.Now().Add(time.Minute)}
	if token, failed := tokens.get(t.Context(), s, &patient, ""); token != "token" {
		t.Errorf("got %+v", failed)
	}
	if failed := <-ended; !failed.TimedOut {
		t.Errorf("the other request got %+v", failed)
	}
}
