package contracttest

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// unknownID is an id that nothing has.
const unknownID = "0190f5f0-0000-7000-8000-000000000000"

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// The roles of callers. Each may do what those before it may.
const (
	anyone = iota
	emitter
	admin
)

// callers are those who call, and the role that each has.
var callers = []struct {
	name, mount string
	header      []string
	role        int
}{
	{"nobody", "hooks", nil, anyone},
	{"wrong token", "hooks", []string{"Authorization", "Bearer wrong"}, anyone},
	{"empty token", "hooks", []string{"Authorization", "Bearer "}, anyone},
	{"emitter", "hooks", []string{"Authorization", "Bearer " + emitToken}, emitter},
	{"rotated emitter", "hooks", []string{"Authorization", "Bearer " + oldToken}, emitter},
	{"scheme in lower case", "hooks", []string{"Authorization", "bearer " + emitToken}, emitter},
	{"emit token as a password", "hooks", []string{"Authorization", basic("u", emitToken)}, anyone},
	{"admin", "hooks", []string{"Authorization", "Bearer " + adminToken}, admin},
	{"admin as a password", "hooks", []string{"Authorization", basic("any", adminToken)}, admin},
	{"admin as a password of no user", "hooks", []string{"Authorization", basic("", adminToken)}, admin},
	{"admin as a user", "hooks", []string{"Authorization", basic(adminToken, "")}, anyone},
	{"no tokens configured", "nobody", []string{"Authorization", "Bearer " + adminToken}, anyone},
	{"empty token where none is configured", "nobody", []string{"Authorization", "Bearer "}, anyone},
	{"admin_user", "user", []string{"X-User", "ada"}, admin},
	{"empty admin_user", "user", nil, anyone},
	{"insecure_no_auth", "open", nil, admin},
}

// calls are the calls of the API, the role that each takes, and the answer to callers
// who have it.
var calls = []struct {
	method, path, body string
	role, status       int
}{
	{"POST", "/api/events", `{"event_type":"alert_active","data":{}}`, emitter, 202},
	{"GET", "/api/events", "", admin, 200},
	{"GET", "/api/events/" + unknownID, "", admin, 404},
	{"DELETE", "/api/events/" + unknownID, "", admin, 404},
	{"GET", "/api/event-types", "", emitter, 200},
	{"GET", "/api/webhooks", "", admin, 200},
	{"POST", "/api/webhooks", "{}", admin, 422},
	{"GET", "/api/webhooks/" + unknownID, "", admin, 404},
	{"PATCH", "/api/webhooks/" + unknownID, "{}", admin, 404},
	{"DELETE", "/api/webhooks/" + unknownID, "", admin, 404},
	{"POST", "/api/webhooks/" + unknownID + "/test", "{}", admin, 404},
	{"GET", "/api/replays", "", admin, 200},
	{"POST", "/api/replays", `{"since":"2020-01-01T00:00:00Z","dry_run":true}`, admin, 200},
	{"GET", "/api/replays/" + unknownID, "", admin, 404},
	{"DELETE", "/api/replays/" + unknownID, "", admin, 404},
	{"POST", "/api/expressions", `{"filter":"true","event_id":"` + unknownID + `"}`, admin, 404},
	{"GET", "/api/requests", "", admin, 200},
	{"GET", "/api/requests/" + unknownID, "", admin, 404},
	{"POST", "/api/requests/" + unknownID + "/rerun", "", admin, 404},
	{"GET", "/api/health", "", anyone, 200},
	{"GET", "/api/openapi.json", "", anyone, 200},
}

func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	for _, who := range callers {
		for _, call := range calls {
			t.Run(who.name+" "+call.method+" "+call.path, func(t *testing.T) {
				a := fast.mount(who.mount, who.header...).call(t, call.method, call.path, call.body)
				switch {
				case who.role >= call.role:
					a.want(t, call.status)
				case who.role == anyone:
					a.want(t, 401)
					if a.header.Get("WWW-Authenticate") == "" {
						t.Error("401 without WWW-Authenticate")
					}
				default:
					a.want(t, 403)
				}
			})
		}
	}
}

func TestChallenge(t *testing.T) {
	t.Parallel()
	var schemes []string
	for _, challenge := range fast.mount("hooks").call(t, "GET", "/api/webhooks", "").header.Values("WWW-Authenticate") {
		scheme, _, _ := strings.Cut(challenge, " ")
		schemes = append(schemes, scheme)
	}
	slices.Sort(schemes)
	if !slices.Equal(schemes, []string{"Basic", "Bearer"}) {
		t.Errorf("WWW-Authenticate offers %v", schemes)
	}
}

func TestForeignOrigin(t *testing.T) {
	t.Parallel()
	admin := fast.admin()
	for _, test := range []struct {
		name   string
		header []string
		ours   bool
	}{
		{"no browser", nil, true},
		{"same origin", []string{"Origin", fast.url, "Sec-Fetch-Site", "same-origin"}, true},
		{"same origin, old browser", []string{"Origin", fast.url}, true},
		{"foreign origin", []string{"Origin", "https://evil.example"}, false},
		{"opaque origin", []string{"Origin", "null"}, false},
		{"cross-site", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, false},
		{"same site", []string{"Sec-Fetch-Site", "same-site", "Origin", "http://other.example"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := admin.with(test.header...)
			one := "/api/webhooks/" + unknownID
			for _, call := range []struct {
				method, path, body string
				status             int // if the origin is not foreign
			}{
				{"POST", "/api/webhooks", "{}", 422},
				{"POST", "/api/events", "[]", 422},
				{"PATCH", one, "{}", 404},
				{"DELETE", one, "", 404},
				{"POST", one + "/test", "{}", 404},
				{"POST", "/api/requests/" + unknownID + "/rerun", "", 404},
			} {
				want := 403
				if test.ours {
					want = call.status
				}
				c.call(t, call.method, call.path, call.body).want(t, want)
			}
			// Whoever asks is answered, but browsers give the answer to no other origin.
			got := c.call(t, "GET", "/api/webhooks", "")
			got.want(t, 200)
			if allowed := got.header.Get("Access-Control-Allow-Origin"); allowed != "" {
				t.Errorf("%s may read the answer", allowed)
			}
		})
	}
}

// TestOrderOfRefusals makes calls that several reasons refuse, and takes away one
// reason after the other, the first one first.
func TestOrderOfRefusals(t *testing.T) {
	t.Parallel()
	foreign := fast.mount("tenants", "X-Tenant", uuid.NewString(), "Origin", "https://evil.example", "Content-Type", "text/plain")
	nobody := foreign.with("Origin", "")
	admin := nobody.with("Authorization", "Bearer "+adminToken)
	asJSON := admin.with("Content-Type", "application/json")
	hook := asJSON.webhook(t, "http://127.0.0.1:1/", `"enabled":false`)
	huge := "{" + strings.Repeat(" ", 17<<20)
	one := "/api/webhooks/" + unknownID
	for _, test := range []struct {
		name         string
		client       client
		method, path string
		body         string
		status       int
	}{
		{"path", foreign, "TRACK", "/api/nothing", "{", 404},
		{"method", foreign, "PUT", one, "{", 405},
		{"origin", foreign, "PATCH", one, "{", 403},
		{"nobody", nobody, "PATCH", one, "{", 401},
		{"emitter", nobody.emitter(), "PATCH", one, "{", 403},
		{"type before size", admin, "PATCH", one, huge, 415},
		{"type before query", admin, "PATCH", one + "?x=1", "{", 415},
		{"size before JSON", asJSON, "PATCH", one, huge, 413},
		{"JSON", asJSON, "PATCH", one, `{"nothing":1`, 400},
		{"query before member", asJSON, "PATCH", one + "?x=1", `{"nothing":1}`, 400},
		{"tenant before member", asJSON.with("X-Tenant", ""), "PATCH", one, `{"nothing":1}`, 400},
		{"nobody before tenant", nobody.with("X-Tenant", ""), "PATCH", one, "{}", 401},
		{"type before tenant", admin.with("X-Tenant", ""), "PATCH", one, "{}", 415},
		{"member before id", asJSON, "PATCH", one, `{"nothing":1}`, 422},
		{"id", asJSON, "PATCH", one, `{}`, 404},
		{"member before conflict", asJSON, "POST", "/api/webhooks/" + text(hook["id"]) + "/test", `{"event_type":"nothing"}`, 422},
		{"conflict", asJSON, "POST", "/api/webhooks/" + text(hook["id"]) + "/test", `{}`, 409},
		{"id before conflict", asJSON.with("X-Tenant", uuid.NewString()), "POST", "/api/webhooks/" + text(hook["id"]) + "/test", `{}`, 404},
		{"size before JSON of an event", asJSON, "POST", "/api/events", huge, 413},
		{"query before id", asJSON, "GET", one + "?x=1", "", 400},
		{"member of re-run before id", asJSON, "POST", "/api/requests/" + unknownID + "/rerun", `{"nothing":1}`, 422},
		{"query of re-run before id", asJSON, "POST", "/api/requests/" + unknownID + "/rerun?x=1", "", 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.client.call(t, test.method, test.path, test.body).want(t, test.status)
		})
	}
}

// TestHead checks that HEAD answers as GET does, without a body.
func TestHead(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	one := "/api/webhooks/" + text(c.webhook(t, "http://127.0.0.1:1/")["id"])
	event := "/api/events/" + text(c.emit(t)["event_id"])
	for _, path := range []string{one, event, "/api/webhooks", "/api/event-types", "/api/requests", "/api/health", "/api/openapi.json", "/api/webhooks/" + unknownID, "/api/nothing"} {
		t.Run(path, func(t *testing.T) {
			get, head := c.call(t, "GET", path, ""), c.call(t, "HEAD", path, "")
			if head.status != get.status || head.body != "" || head.header.Get("Content-Type") != get.header.Get("Content-Type") {
				t.Errorf("HEAD: %d %v %q, GET: %d", head.status, head.header, head.body, get.status)
			}
		})
	}
	c.call(t, "GET", one, "").want(t, 200)
	if a := fast.mount("hooks").call(t, "HEAD", "/api/webhooks", ""); a.status != 401 {
		t.Errorf("HEAD by nobody: %d", a.status)
	}
	if a := c.call(t, "HEAD", "/api/webhooks/"+unknownID+"/test", ""); a.status != 405 || a.header.Get("Allow") != "POST" {
		t.Errorf("HEAD of a POST: %d, Allow: %s", a.status, a.header.Get("Allow"))
	}
}

func TestPathsAndMethods(t *testing.T) {
	t.Parallel()
	admin := fast.admin()
	for _, path := range []string{
		"/api", "/api/", "/api/nothing", "/nothing", "/api/webhooks/", "/api/events/",
		"/api/webhooks/" + unknownID + "/", "/api/webhooks/" + unknownID + "/nothing",
		"/api/requests/" + unknownID + "/test", "/api/webhooks/no-id", "/api/requests/no-id", "/api/events/no-id",
	} {
		t.Run("GET "+path, func(t *testing.T) { admin.call(t, "GET", path, "").want(t, 404) })
	}
	for path, methods := range map[string][]string{
		"/api/events":                           {"GET", "POST"},
		"/api/events/" + unknownID:              {"GET", "DELETE"},
		"/api/event-types":                      {"GET"},
		"/api/webhooks":                         {"GET", "POST"},
		"/api/webhooks/" + unknownID:            {"GET", "PATCH", "DELETE"},
		"/api/webhooks/" + unknownID + "/test":  {"POST"},
		"/api/requests":                         {"GET"},
		"/api/requests/" + unknownID:            {"GET"},
		"/api/requests/" + unknownID + "/rerun": {"POST"},
		"/api/health":                           {"GET"},
		"/api/openapi.json":                     {"GET"},
	} {
		t.Run("PUT "+path, func(t *testing.T) {
			a := admin.call(t, http.MethodPut, path, "{}")
			a.want(t, 405)
			var allowed []string
			for m := range strings.SplitSeq(a.header.Get("Allow"), ",") {
				if m = strings.TrimSpace(m); m != "HEAD" && m != "OPTIONS" {
					allowed = append(allowed, m)
				}
			}
			slices.Sort(allowed)
			slices.Sort(methods)
			if !slices.Equal(allowed, methods) {
				t.Errorf("Allow: %s, want %v", a.header.Get("Allow"), methods)
			}
		})
	}
}
