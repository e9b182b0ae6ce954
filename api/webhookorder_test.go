package api_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestWebhookOrder creates and changes webhooks whose options are wrong, with other errors that count
// before them or after them: each call is refused for one reason less than the call before, the first one first.
func TestWebhookOrder(t *testing.T) {
	c := newConfig()
	c.settings.TenantWebhooks = 1
	s := start(t, c)
	s.admin("POST", "api/webhooks", `{"url":"https://example.com/"}`).want(t, 201, nil)
	type try struct {
		name, method, path, body string
		headers                  []string
		want                     int
	}
	asText, asJSON := []string{"Content-Type", "text/plain"}, []string{"Content-Type", "application/json"}
	by := func(who string, headers []string) []string { return append([]string{"Authorization", who}, headers...) }
	foreign := append(by(asAdmin, asText), "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
	for member, wrong := range map[string]string{
		"rate_limit":  `{"requests":0,"per":"1s"}`,
		"retry":       `{"attempts":0}`,
		"timeout":     `"1h"`,
		"concurrency": `0`,
		"filter":      `"nothing("`,
		"order_by":    `"1"`,
		"headers":     `{"Host":"x"}`,
	} {
		invalid := `{"url":"https://example.com/","` + member + `":` + wrong + `}`
		valid := `{"url":"https://example.com/","` + member + `":` + map[bool]string{true: "{}", false: "null"}[member == "headers"] + `}`
		broken, big := strings.TrimSuffix(invalid, "}"), invalid+strings.Repeat(" ", 2<<20)
		for method, path := range map[string]string{http.MethodPost: "api/webhooks", http.MethodPatch: "api/webhooks/" + noID} {
			last := map[string]int{http.MethodPost: 409, http.MethodPatch: 404}[method]
			for _, tc := range []try{
				{"path", method, "api/nothing?x=1", big, foreign, 404},
				{"method", "PUT", path + "?x=1", big, foreign, 405},
				{"origin", method, path + "?x=1", big, foreign, 403},
				{"nobody", method, path + "?x=1", big, asText, 401},
				{"emitter", method, path + "?x=1", big, by(asEmitter, asText), 403},
				{"media type", method, path + "?x=1", big, by(asAdmin, asText), 415},
				{"too large", method, path + "?x=1", big, by(asAdmin, asJSON), 413},
				{"query", method, path + "?x=1", broken, by(asAdmin, asJSON), 400},
				{"not JSON", method, path, broken, by(asAdmin, asJSON), 400},
				{"not valid", method, path, invalid, by(asAdmin, asJSON), 422},
				{"valid", method, path, valid, by(asAdmin, asJSON), last},
			} {
				t.Run(member+"/"+method+"/"+tc.name, func(t *testing.T) {
					got := s.do(tc.method, "/hooks/"+tc.path, tc.body, tc.headers...).wantProblem(t, tc.want)
					if tc.want == 422 && !strings.HasPrefix(got.fields(), member) {
						t.Errorf("refused for %q", got.fields())
					}
				})
			}
		}
	}
}
