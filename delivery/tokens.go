package delivery

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

const (
	// maxTokenAnswer bounds the answer of a token server, and maxToken a token, in bytes.
	maxTokenAnswer = 64 << 10
	maxToken       = 16 << 10
	// tokenMargin is how long before its end a token is used no more, at most: a tenth of its
	// time is enough.
	tokenMargin = 30 * time.Second
)

// tokens has the access token of a webhook, and fetches another one when that is needed: one
// request at a time does, for all that wait.
type tokens struct {
	of        *Authorization
	userAgent string

	mu       sync.Mutex
	token    string
	until    time.Time // zero if the token says nothing of its end
	fetching *fetching // nil if nobody does
}

// fetching is a token that is being fetched.
type fetching struct {
	done   chan struct{}
	token  string
	failed sender.Response // with a Failure if there is no token
}

// send makes the request of a message, with a token if the webhook's requests have one.
func (p *prepared) send(ctx context.Context, s Sender, m sender.Message) sender.Response {
	if p.tokens == nil {
		return s.Send(ctx, m)
	}
	return p.tokens.send(ctx, s, m)
}

// send sends a message with a token, all within its timeout. A token that the endpoint refuses is
// replaced once.
func (t *tokens) send(ctx context.Context, s Sender, m sender.Message) sender.Response {
	m.Deadline = time.Now().Add(m.Timeout)
	token, failed := t.get(ctx, s, &m, "")
	if token == "" {
		return failed
	}
	values := m.Values
	m.Values = append(slices.Clip(values), t.of.value(token))
	r := s.Send(ctx, m)
	if r.StatusCode != http.StatusUnauthorized || r.Failure != "" || !time.Now().Before(m.Deadline) {
		return r
	}
	if token, _ = t.get(ctx, s, &m, token); token == "" {
		return r
	}
	m.Values = append(slices.Clip(values), t.of.value(token))
	return s.Send(ctx, m)
}

// get returns a token that is not the refused one. If another request has fetched none within the
// time that it had left, this one tries in its own.
func (t *tokens) get(ctx context.Context, s Sender, m *sender.Message, refused string) (token string, failed sender.Response) {
	for {
		token, failed = t.getOnce(ctx, s, m, refused)
		if token != "" || !failed.TimedOut || ctx.Err() != nil || !time.Now().Before(m.Deadline) {
			return token, failed
		}
	}
}

func (t *tokens) getOnce(ctx context.Context, s Sender, m *sender.Message, refused string) (token string, failed sender.Response) {
	t.mu.Lock()
	if t.token != "" && t.token != refused && (t.until.IsZero() || time.Now().Before(t.until)) {
		defer t.mu.Unlock()
		return t.token, failed
	}
	if f := t.fetching; f != nil {
		t.mu.Unlock()
		return f.wait(ctx, m.Deadline)
	}
	f := &fetching{done: make(chan struct{})}
	t.fetching, t.token = f, ""
	t.mu.Unlock()

	var until time.Time
	f.token, until, f.failed = t.fetch(ctx, s, m)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fetching, t.token, t.until = nil, f.token, until
	close(f.done)
	return f.token, f.failed
}

// wait waits for a token that another request fetches.
func (f *fetching) wait(ctx context.Context, deadline time.Time) (token string, failed sender.Response) {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-f.done:
		return f.token, f.failed
	case <-ctx.Done():
		return "", sender.Failed("the request was cancelled because this server stopped", ctx.Err())
	case <-timer.C:
		r := sender.Failed(noToken+"it did not answer in time", nil)
		r.TimedOut = true
		return "", r
	}
}

// noToken begins what is said of a token server. Nothing is quoted of what that said: it may
// repeat the secret.
const noToken = "no access token came from the token server: "

// fetch fetches a token, within the time of a message.
func (t *tokens) fetch(ctx context.Context, s Sender, m *sender.Message) (token string, until time.Time, failed sender.Response) {
	config := clientcredentials.Config{ClientID: t.of.ClientID, ClientSecret: t.of.Credential, TokenURL: t.of.TokenURL}
	if t.of.Scope != "" {
		config.Scopes = []string{t.of.Scope} // which are joined by spaces
	}
	began := time.Now()
	client := &http.Client{Transport: &tokenTransport{sender: s, like: m, userAgent: t.userAgent}}
	got, err := config.Token(context.WithValue(ctx, oauth2.HTTPClient, client))
	if err != nil {
		return "", until, tokenFailure(err)
	}
	if len(got.AccessToken) > maxToken || CheckHeaderValue(got.AccessToken) != nil {
		return "", until, sender.Failed(noToken+"its answer has one that cannot be used", nil)
	}
	if !got.Expiry.IsZero() {
		until = got.Expiry.Add(-min(tokenMargin, got.Expiry.Sub(began)/10))
	}
	return got.AccessToken, until, failed
}

// tokenErrors are the errors of RFC 6749, section 5.2, which alone are quoted.
var tokenErrors = []string{"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope"}

// tokenFailure says why there is no token.
func tokenFailure(err error) sender.Response {
	unsent, refused := (*unsentError)(nil), (*oauth2.RetrieveError)(nil)
	switch {
	case errors.As(err, &unsent):
		r := sender.Failed(noToken+unsent.response.Failure, unsent.response.Cause)
		r.TimedOut = unsent.response.TimedOut
		return r
	case !errors.As(err, &refused):
		return sender.Failed(noToken+"its answer has none (RFC 6749, section 5.1)", nil)
	}
	reason := strings.TrimPrefix(sender.StatusFailure(refused.Response.StatusCode), "the endpoint ")
	if slices.Contains(tokenErrors, refused.ErrorCode) {
		reason += " (" + refused.ErrorCode + ")"
	}
	return sender.Failed(noToken+"it "+reason, nil)
}

// tokenTransport makes requests for tokens by the sender: to where requests may go, within the
// time of a message, and with no answer that is too long.
type tokenTransport struct {
	sender    Sender
	like      *sender.Message
	userAgent string
}

// unsentError is a request for a token to which there was no whole answer.
type unsentError struct{ response sender.Response }

func (e *unsentError) Error() string { return e.response.Failure }

// RoundTrip makes a request.
func (t *tokenTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	if err != nil {
		return nil, err
	}
	header := r.Header.Clone()
	header.Set("User-Agent", t.userAgent)
	header.Set("Accept", "application/json")
	answer := t.sender.Send(r.Context(), sender.Message{
		Target: sender.NewTarget(r.URL.String(), header), Body: body,
		Timeout: t.like.Timeout, Deadline: t.like.Deadline, MaxResponse: maxTokenAnswer,
	})
	if answer.Truncated && answer.Failure == "" {
		answer = sender.Failed("its answer is too long", nil)
	}
	if answer.Failure != "" {
		return nil, &unsentError{answer}
	}
	return &http.Response{
		StatusCode: answer.StatusCode, Header: make(http.Header), Body: io.NopCloser(strings.NewReader(answer.Body)), Request: r,
	}, nil
}
