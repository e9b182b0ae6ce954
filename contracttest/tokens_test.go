package contracttest

import (
	"testing"

	"github.com/google/uuid"
)

// TestTokensOfATenant has tokens that are bound to the tenant acme, where a placeholder
// gives the tenant, and where it is fixed.
func TestTokensOfATenant(t *testing.T) {
	t.Parallel()
	const tokens = "emit_token acme-emit-token-of-the-test acme\nadmin_token {env.ACME_TOKEN} acme\n"
	s := start(t, ownStore(),
		mount("header", "webhooks {\n"+tokens+"admin_token {env.ADMIN_TOKEN}\ntenant {header.X-Tenant}\n}"),
		mount("acme", "webhooks {\n"+tokens+"tenant acme\n}"),
		mount("default", "webhooks {\n"+tokens+"}"),
	)
	emitter, admin := []string{"Authorization", "Bearer acme-emit-token-of-the-test"}, []string{"Authorization", "Bearer " + acmeToken}
	password := []string{"Authorization", basic("any", acmeToken)}
	for _, test := range []struct {
		name, mount, tenant string
		header              []string
		emit, read          int
	}{
		{"emitter of its tenant", "header", "acme", emitter, 202, 403},
		{"emitter of another", "header", "umbrella", emitter, 403, 403},
		{"emitter of one in another case", "header", "ACME", emitter, 403, 403},
		{"emitter of none", "header", "", emitter, 202, 403},
		{"admin of its tenant", "header", "acme", admin, 202, 200},
		{"admin of another", "header", "umbrella", admin, 403, 403},
		{"admin of one that there cannot be", "header", "a b", admin, 403, 403},
		{"admin of none", "header", "", admin, 202, 200},
		{"password of its tenant", "header", "acme", password, 202, 200},
		{"password of another", "header", "umbrella", password, 403, 403},
		{"any admin of acme", "header", "acme", []string{"Authorization", "Bearer " + adminToken}, 202, 200},
		{"any admin of another", "header", "umbrella", []string{"Authorization", "Bearer " + adminToken}, 202, 200},
		{"any admin of none", "header", "", []string{"Authorization", "Bearer " + adminToken}, 400, 400},
		{"nobody of another", "header", "umbrella", nil, 401, 401},
		{"emitter where it is fixed", "acme", "", emitter, 202, 403},
		{"admin where it is fixed", "acme", "", admin, 202, 200},
		{"emitter where another one is fixed", "default", "", emitter, 403, 403},
		{"admin where another one is fixed", "default", "acme", admin, 403, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := s.mount(test.mount, test.header...).with("X-Tenant", test.tenant)
			id := uuid.NewString()
			c.call(t, "POST", "/api/events", `{"event_type":"alert_active","data":{},"event_id":"`+id+`"}`).want(t, test.emit)
			c.call(t, "GET", "/api/webhooks", "").want(t, test.read)
			// Where nothing names another tenant, it is acme's event.
			if test.emit == 202 && test.tenant != "umbrella" {
				s.mount("header", admin...).must(t, 200, "GET", "/api/events/"+id, "")
			}
			c.call(t, "GET", "/api/health", "").want(t, 200)
			if test.read != 400 { // the page itself is about no tenant
				c.call(t, "GET", "/", "").want(t, test.read)
			}
		})
	}
}

// TestViewer makes every call with a viewer token, which may do what GET does.
func TestViewer(t *testing.T) {
	t.Parallel()
	s := start(t, ownStore(), mount("viewed", "webhooks {\nviewer_token {env.VIEWER_TOKEN}\nviewer_token {env.ACME_TOKEN} acme\n}"))
	for name, header := range map[string]string{"token": "Bearer " + viewerToken, "password": basic("any", viewerToken)} {
		c := s.mount("viewed", "Authorization", header)
		for _, call := range calls {
			t.Run(name+" "+call.method+" "+call.path, func(t *testing.T) {
				want := call.status
				if call.method != "GET" {
					want = 403
				}
				c.call(t, call.method, call.path, call.body).want(t, want)
			})
		}
		c.call(t, "HEAD", "/api/webhooks", "").want(t, 200)
		c.call(t, "GET", "/", "").want(t, 200)
	}
	s.mount("viewed", "Authorization", "Bearer "+acmeToken).call(t, "GET", "/api/webhooks", "").want(t, 403)
}
