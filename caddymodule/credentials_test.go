package caddymodule_test

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Credentials of webhooks, for TestSecretsStayIn and TestNothingInClear.
const (
	bearerToken   = "hush-bearer-token"
	basicPassword = "hush-basic-password"
	headerValue   = "hush-header-value"
	clientSecret  = "hush-client-secret"
	accessToken   = "hush-access-token"
)

// clientIdentity is a client certificate as a webhook is given it, and the forms in which its key
// could come out.
var clientIdentity = sync.OnceValues(func() (member string, forms []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	certificate, err1 := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	encoded, err2 := x509.MarshalPKCS8PrivateKey(key)
	number, err3 := key.Bytes()
	if err := cmp.Or(err, err1, err2, err3); err != nil {
		panic(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
	given, err := json.Marshal(map[string]string{
		"certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})), "private_key": text,
	})
	if err != nil {
		panic(err)
	}
	lines := strings.Split(text, "\n") // the last one that is looked for ends with the public key
	return string(given), []string{lines[1], lines[2][:24], string(number), hex.EncodeToString(number), base64.StdEncoding.EncodeToString(number)}
})

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

// distrustful is an endpoint that accepts no client certificate.
func distrustful(t *testing.T) string {
	t.Helper()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

// useCredentials gives a webhook each of them, and sends with it. Call makes a call as an admin.
func useCredentials(t *testing.T, call func(method, path, body string, headers ...string) reply, path string, endpoint *receiver) {
	t.Helper()
	identity, _ := clientIdentity()
	changes := []string{
		`{"authorization":null,"client_certificate":` + identity + `}`, `{"url":"` + distrustful(t) + `"}`,
		`{"url":"` + endpoint.URL + `"}`, `{"client_certificate":null}`,
	}
	for _, each := range credentials(t) {
		changes = append(changes, `{"authorization":`+each+`}`)
	}
	for _, status := range []int{http.StatusOK, http.StatusUnauthorized} {
		endpoint.answer(status)
		for _, change := range changes {
			call("PATCH", path, change).want(t, 200, nil)
			var row request
			call("POST", path+"/test", `{}`).want(t, 200, &row)
			call("GET", "api/requests/"+row.ID, "").want(t, 200, nil)
			call("POST", "api/requests/"+row.ID+"/rerun", "").want(t, 200, nil)
			call("GET", "api/webhooks", "").want(t, 200, nil)
		}
	}
	endpoint.answer(http.StatusOK)
	call("PATCH", path, `{"authorization":null}`).want(t, 200, nil)
}
