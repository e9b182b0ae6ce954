package caddymodule_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Credentials of webhooks, for TestSecretsStayIn and TestNothingInClear.
const (
	bearerToken   = "hush-bearer-token"
	basicPassword = "hush-basic-password"
	headerValue   = "hush-header-value"
	clientSecret  = "hush-client-secret"
	accessToken   = "hush-access-token"
)

// echoingTokenServer is a token server that answers with a status, and with all that it was given.
func echoingTokenServer(t *testing.T, status int) *httptest.Server {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		_ = r.ParseForm()
		w.WriteHeader(status)
		said := fmt.Sprint(password, r.PostForm, r.Header)
		_, _ = fmt.Fprintf(w, `{"access_token":%q,"error_description":%q,"error_uri":%q}`, accessToken, said, said)
	}))
	t.Cleanup(server.Close)
	return server
}

// credentials are all kinds of them, by token servers that succeed and fail.
func credentials(t *testing.T) []string {
	t.Helper()
	oauth2 := func(status int) string {
		return `{"type":"oauth2","token_url":"` + echoingTokenServer(t, status).URL + `","client_id":"me","client_secret":"` + clientSecret + `"}`
	}
	return []string{
		`{"type":"bearer","token":"` + bearerToken + `"}`,
		`{"type":"basic","username":"bob","password":"` + basicPassword + `"}`,
		`{"type":"header","name":"X-Api-Key","value":"` + headerValue + `"}`,
		oauth2(http.StatusOK), oauth2(http.StatusUnauthorized), oauth2(http.StatusInternalServerError), oauth2(http.StatusFound),
		`{"type":"oauth2","token_url":"https://` + freeAddr(t) + `","client_id":"me","client_secret":"` + clientSecret + `"}`,
	}
}

// useCredentials gives a webhook each of them, and sends with it.
func (s *spied) useCredentials(path string, endpoint *receiver) {
	t := s.caddySite.t
	for _, status := range []int{http.StatusOK, http.StatusUnauthorized} {
		endpoint.answer(status)
		for _, each := range credentials(t) {
			s.call("PATCH", path, `{"authorization":`+each+`}`).want(t, 200, nil)
			var row request
			s.call("POST", path+"/test", `{}`).want(t, 200, &row)
			s.call("GET", "api/requests/"+row.ID, "").want(t, 200, nil)
			s.call("POST", "api/requests/"+row.ID+"/rerun", "").want(t, 200, nil)
			s.call("GET", "api/webhooks", "").want(t, 200, nil)
		}
	}
	endpoint.answer(http.StatusOK)
	s.call("PATCH", path, `{"authorization":null}`).want(t, 200, nil)
}
