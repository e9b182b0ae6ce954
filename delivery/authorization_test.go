package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// localSender sends to this machine, over http too.
func localSender(t *testing.T) *sender.Sender {
	t.Helper()
	s := sender.New(&sender.Config{Concurrency: 16, Destinations: sender.Destinations{AllowHTTP: true, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
	t.Cleanup(s.Close)
	return s
}

// sendTo sends one event to a webhook.
func sendTo(t *testing.T, s Sender, c *preparedWebhooks, settings *Settings, w *Webhook) sender.Response {
	t.Helper()
	ev := &Event{ID: uuid.New(), Payload: []byte(`{"n":1}`)}
	p := c.get(settings, w, time.Now())
	return p.send(t.Context(), s, p.message(settings, ev, time.Now()))
}

func TestAuthorizationIsSent(t *testing.T) {
	t.Parallel()
	var got http.Header
	endpoint := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	t.Cleanup(endpoint.Close)
	s, settings := localSender(t), DefaultSettings()
	for _, tc := range []struct {
		of                *Authorization
		name, want, shown string
	}{
		{nil, "Authorization", "", ""},
		{&Authorization{Type: BearerAuthorization, Credential: "tok"}, "Authorization", "Bearer tok", "Bearer ********"},
		{&Authorization{Type: BasicAuthorization, Username: "ann", Credential: "pä:ss"}, "Authorization", "Basic YW5uOnDDpDpzcw==", "Basic ********"},
		{&Authorization{Type: HeaderAuthorization, Name: "X-Api-Key", Credential: "key"}, "X-Api-Key", "key", "********"},
		{&Authorization{Type: HeaderAuthorization, Name: "authorization", Credential: "Key k"}, "Authorization", "Key k", "********"},
		{&Authorization{Type: HeaderAuthorization, Name: "x-level-signature", Credential: "key"}, "X-Level-Signature", "", ""},
		{&Authorization{Type: OAuth2Authorization}, "", "", "Bearer ********"},
	} {
		w := &Webhook{URL: endpoint.URL, Authorization: tc.of, Headers: map[string]string{"X-Other": "o"}}
		if tc.name != "" {
			if r := sendTo(t, s, new(preparedWebhooks), &settings, w); r.StatusCode != 200 || got.Get(tc.name) != tc.want || got.Get("X-Other") != "o" {
				t.Errorf("%+v: got %+v, sent %v", tc.of, r, got)
			}
		}
		var shown string
		for _, values := range settings.shownHeaders(&Webhook{Authorization: tc.of}) {
			shown = values[0]
		}
		if shown != tc.shown {
			t.Errorf("%+v is shown as %q", tc.of, shown)
		}
	}
}

// tokenServer gives tokens token-1, token-2 and so on, and counts who asks at the same time.
type tokenServer struct {
	*httptest.Server
	n, atOnce, most atomic.Int64
	inParams        atomic.Bool // credentials must be in the body
	expires         atomic.Int64
	form            url.Values
}

const clientSecret = "s e/c:r+et"

func newTokenServer(t *testing.T) *tokenServer {
	t.Helper()
	s := new(tokenServer)
	s.expires.Store(3600)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.most.Store(max(s.most.Load(), s.atOnce.Add(1)))
		defer s.atOnce.Add(-1)
		user, password, basic := r.BasicAuth()
		_ = r.ParseForm()
		if s.inParams.Load() {
			user, password = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
		}
		user, _ = url.QueryUnescape(user)
		if s.inParams.Load() == basic || user != "me" || password != clientSecret && password != url.QueryEscape(clientSecret) {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = fmt.Fprintf(w, `{"error":"invalid_client","error_description":%q}`, "not with "+clientSecret)
			return
		}
		time.Sleep(5 * time.Millisecond)
		s.form = r.PostForm
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": fmt.Sprint("token-", s.n.Add(1)), "token_type": "Bearer", "expires_in": s.expires.Load()})
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *tokenServer) authorization() *Authorization {
	return &Authorization{Type: OAuth2Authorization, TokenURL: s.URL + "/token", ClientID: "me", Credential: clientSecret, Scope: "a b"}
}

// guarded is an endpoint that takes any token but the refused ones.
func guarded(t *testing.T, refused ...string) (endpoint *httptest.Server, requests *atomic.Int64) {
	t.Helper()
	requests = new(atomic.Int64)
	endpoint = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		body, _ := io.ReadAll(r.Body)
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer token-")
		for _, no := range refused {
			ok = ok && token != no
		}
		if !ok || !bytes.Equal(body, []byte(`{"n":1}`)) || r.Header.Get("X-Level-Signature") == "" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(endpoint.Close)
	return endpoint, requests
}

func TestOAuth2(t *testing.T) {
	t.Parallel()
	for _, inParams := range []bool{false, true} {
		server := newTokenServer(t)
		server.inParams.Store(inParams)
		endpoint, requests := guarded(t, "1")
		s, settings := localSender(t), DefaultSettings()
		w := &Webhook{URL: endpoint.URL, Secret: "s", Authorization: server.authorization()}
		var c preparedWebhooks
		// The first token is refused by the endpoint, and replaced within the attempt.
		if r := sendTo(t, s, &c, &settings, w); r.StatusCode != 200 || requests.Load() != 2 || server.n.Load() != 2 {
			t.Fatalf("got %+v after %d requests and %d tokens", r, requests.Load(), server.n.Load())
		}
		if server.form.Get("grant_type") != "client_credentials" || server.form.Get("scope") != "a b" {
			t.Errorf("asked for a token with %v", server.form)
		}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if r := sendTo(t, s, &c, &settings, w); r.StatusCode != 200 {
					t.Errorf("got %+v", r)
				}
			})
		}
		all.Wait()
		if server.n.Load() != 2 {
			t.Errorf("%d tokens were fetched, and the second is still good", server.n.Load())
		}
		// Another version of the webhook has a token of its own, which one request fetches.
		other := *w
		other.Headers = map[string]string{"X-A": "a"}
		for range 20 {
			all.Go(func() { sendTo(t, s, &c, &settings, &other) })
		}
		all.Wait()
		if server.n.Load() != 3 || server.most.Load() != 1 {
			t.Errorf("%d tokens were fetched, and %d at once", server.n.Load(), server.most.Load())
		}
	}
}

// TestOAuth2Refused has an endpoint that takes no token at all: each attempt is made twice, and not
// more often.
func TestOAuth2Refused(t *testing.T) {
	t.Parallel()
	server := newTokenServer(t)
	endpoint, requests := guarded(t, "1", "2", "3", "4")
	s, settings := localSender(t), DefaultSettings()
	w := &Webhook{URL: endpoint.URL, Secret: "s", Authorization: server.authorization()}
	var c preparedWebhooks
	for attempt := range int64(2) {
		if r := sendTo(t, s, &c, &settings, w); r.StatusCode != 401 || r.Failure != "" || requests.Load() != 2*(attempt+1) {
			t.Errorf("got %+v after %d requests", r, requests.Load())
		}
	}
}

func TestTokenEnds(t *testing.T) {
	t.Parallel()
	server := newTokenServer(t)
	endpoint, _ := guarded(t)
	s, settings := localSender(t), DefaultSettings()
	w := &Webhook{URL: endpoint.URL, Secret: "s", Authorization: server.authorization()}
	var c preparedWebhooks
	send := func(want int64) {
		t.Helper()
		if r := sendTo(t, s, &c, &settings, w); r.StatusCode != 200 || server.n.Load() != want {
			t.Errorf("got %+v with token %d, want %d", r, server.n.Load(), want)
		}
	}
	send(1)
	send(1)
	tokens := c.get(&settings, w, time.Now()).tokens
	if left := time.Until(tokens.until); left > time.Hour-tokenMargin || left < time.Hour-10*time.Minute {
		t.Errorf("a token of an hour is used for %s", left)
	}
	tokens.until = time.Now()
	send(2)
	server.expires.Store(0) // nobody knows when
	tokens.until = time.Now()
	send(3)
	send(3)
}

func TestTokenFailures(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) *httptest.Server {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}))
		t.Cleanup(s.Close)
		return s
	}
	echo := strings.ReplaceAll(`{"error":"X","error_description":"X","access_token":""}`, "X", clientSecret)
	endpoint, requests := guarded(t)
	settings := DefaultSettings()
	settings.Timeout = time.Minute // for a busy machine
	for name, tc := range map[string]struct{ url, want string }{
		"refused":     {answer(401, `{"error":"invalid_client","error_description":"`+clientSecret+`"}`).URL, noToken + "it answered 401 Unauthorized (invalid_client)"},
		"echo":        {answer(400, echo).URL, noToken + "it answered 400 Bad Request"},
		"plain":       {answer(500, clientSecret).URL, noToken + "it answered 500 Internal Server Error"},
		"error":       {answer(200, echo).URL, noToken + "it answered 200 OK"},
		"no JSON":     {answer(200, clientSecret).URL, noToken + "its answer has none (RFC 6749, section 5.1)"},
		"no token":    {answer(200, `{}`).URL, noToken + "its answer has none (RFC 6749, section 5.1)"},
		"bad token":   {answer(200, `{"access_token":"a\r\nHost: b"}`).URL, noToken + "its answer has one that cannot be used"},
		"long token":  {answer(200, `{"access_token":"`+strings.Repeat("x", maxToken+1)+`"}`).URL, noToken + "its answer has one that cannot be used"},
		"long":        {answer(200, `{"access_token":"x","a":"`+strings.Repeat("x", maxTokenAnswer)+`"}`).URL, noToken + "its answer is too long"},
		"redirect":    {answer(302, "").URL, noToken + "it answered 302 Found; redirects are not followed"},
		"nobody":      {"http://127.0.0.1:1", noToken + "connection refused by 127.0.0.1:1"},
		"not allowed": {"http://169.254.169.254/", noToken + "the host's address is not public, and not allowed by the configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			w := &Webhook{URL: endpoint.URL, Secret: "s", Authorization: &Authorization{Type: OAuth2Authorization, TokenURL: tc.url, ClientID: "me", Credential: clientSecret}}
			r := sendTo(t, localSender(t), new(preparedWebhooks), &settings, w)
			if !strings.HasPrefix(r.Failure, tc.want) || r.StatusCode != 0 || strings.Contains(fmt.Sprintf("%+v", r), clientSecret) {
				t.Errorf("got %+v", r)
			}
		})
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests were made without a token", n)
	}
}

// TestTokenIsSlow has a token server that does not answer: the requests that wait for it end in
// time, too.
func TestTokenIsSlow(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(silent.Close)
	defer close(release)
	settings := DefaultSettings()
	settings.Timeout = 100 * time.Millisecond
	w := &Webhook{URL: silent.URL, Authorization: &Authorization{Type: OAuth2Authorization, TokenURL: silent.URL, ClientID: "me", Credential: clientSecret}}
	s := localSender(t)
	var c preparedWebhooks
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if r := sendTo(t, s, &c, &settings, w); !r.TimedOut || !strings.HasPrefix(r.Failure, noToken) {
				t.Errorf("got %+v", r)
			}
		})
	}
	all.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := c.get(&settings, w, time.Now())
	if r := p.send(ctx, s, p.message(&settings, &Event{}, time.Now())); r.Failure == "" {
		t.Errorf("got %+v after the end", r)
	}
}
