package caddymodule_test

import (
	"net/http"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// TestVerifyTwice has a request pass two handlers with the same secret, as one of the site and one of a
// route: it is one request, so that it goes on, and its repetition does as with one handler.
func TestVerifyTwice(t *testing.T) {
	guard := "level {\n\t\tsecret " + verifySecret + "\n\t}"
	g := startGuarded(t, siteConfig{webhooks: "store embedded " + t.TempDir()}, map[string]string{"/in": guard + "\n\twebhook_verify " + guard})
	signature := delivery.Signature(verifySecret, []byte("{}"))
	receive := func() reply { return g.do(http.MethodPost, "/in", "{}", "X-Level-Signature", signature) }
	g.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	receive().want(t, http.StatusBadGateway, nil)
	g.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	receive().want(t, http.StatusNoContent, nil)
	receive().wantUnverified(t, "what was received")
	g.wantTaken("twice guarded", 2)
}
