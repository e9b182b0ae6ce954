package contracttest

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// open is a mount without authentication, with options of its own.
func open(path, options string) string {
	return mount(path, "webhooks {\ninsecure_no_auth\n"+options+"\n}")
}

func mount(path, directives string) string {
	return "handle_path /" + path + "/* {\n" + directives + "\n}\n"
}

// TestAdminUser has Caddy's own authentication, and another server, say who the caller
// is.
func TestAdminUser(t *testing.T) {
	t.Parallel()
	// It knows two sessions: Ada's, and one that it lets in without a name.
	authenticator := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Cookie") {
		case "session=ada":
			w.Header().Set("Remote-User", "ada")
		case "session=nameless":
		default:
			http.Error(w, "log in first", http.StatusUnauthorized)
		}
	}))
	defer authenticator.Close()
	forward := "forward_auth " + authenticator.Listener.Addr().String() + " {\nuri /verify\ncopy_headers Remote-User\n}\n"
	// Bob's password is "password".
	const users = "basic_auth bcrypt {\nbob $2a$04$c9HM04/Z1vk1HGRstTV0ne2Ch4EIyFVYKEWrroU0JRXqsMI7eDMsu\n}\n"
	s := start(t, ownStore(),
		mount("basic", users+"webhooks"),
		mount("forward", forward+"webhooks {\nadmin_user {header.Remote-User}\n}"),
		mount("default", forward+"webhooks"),
		mount("unknown", "webhooks {\nadmin_user {http.auth.user.nonsense}\n}"),
	)
	for _, test := range []struct {
		name, mount string
		header      []string
		admin       bool
	}{
		{"basic_auth", "basic", []string{"Authorization", basic("bob", "password")}, true},
		{"basic_auth refuses", "basic", []string{"Authorization", basic("bob", "wrong")}, false},
		{"forward_auth", "forward", []string{"Cookie", "session=ada"}, true},
		{"forward_auth refuses", "forward", nil, false},
		{"forward_auth names nobody", "forward", []string{"Cookie", "session=nameless", "Remote-User", "eve"}, false},
		{"forward_auth is not the default", "default", []string{"Cookie", "session=ada"}, false},
		{"basic_auth elsewhere", "default", []string{"Cookie", "session=ada", "Authorization", basic("bob", "password")}, false},
		{"unknown placeholder", "unknown", []string{"nonsense", "ada", "Remote-User", "ada"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := map[bool][2]int{true: {200, 202}, false: {401, 401}}[test.admin]
			c := s.mount(test.mount, test.header...)
			got := [2]int{
				c.call(t, "GET", "/api/webhooks", "").status,
				c.call(t, "POST", "/api/events", `{"event_type":"alert_active","data":{}}`).status,
			}
			if got != want {
				t.Errorf("statuses are %v, want %v", got, want)
			}
		})
	}
}

// TestTenantByPlaceholder emits where a placeholder gives the tenant, and looks for the
// event as that tenant and as another.
func TestTenantByPlaceholder(t *testing.T) {
	t.Parallel()
	s := start(t, ownStore(),
		open("label", "tenant {labels.2}"),
		open("around", "tenant a-{header.X-Part}-b"),
		open("unknown", "tenant a{nonsense}b"),
		open("none", "tenant {nonsense}"),
		open("fixed", "tenant {env.OLD_TOKEN}"),
	)
	for _, test := range []struct {
		mount  string
		header []string
		tenant string
	}{
		{"label", []string{"Host", "acme.hooks.test"}, "acme"},
		{"label", []string{"Host", "umbrella.hooks.test"}, "umbrella"},
		{"around", []string{"X-Part", "c"}, "a-c-b"},
		{"around", nil, "a--b"},
		{"unknown", []string{"nonsense", "c"}, "ab"},
		{"fixed", nil, oldToken},
	} {
		t.Run(test.mount+" "+test.tenant, func(t *testing.T) {
			id := uuid.NewString()
			s.mount(test.mount, test.header...).emit(t, `"event_id":"`+id+`"`)
			c := s.mount("tenants", "Authorization", "Bearer "+adminToken)
			c.with("X-Tenant", test.tenant).must(t, 200, "GET", "/api/events/"+id, "")
			c.with("X-Tenant", "default").call(t, "GET", "/api/events/"+id, "").want(t, 404)
		})
	}
	c := s.mount("none")
	c.call(t, "GET", "/api/webhooks", "").want(t, 400)
	c.call(t, "POST", "/api/events", `{"event_type":"alert_active","data":{}}`).want(t, 400)
}

// TestValuesFromFiles has options whose values are the contents of files.
func TestValuesFromFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return "{file." + path + "}"
	}
	s := start(t,
		ownStore()+"event_types "+file("type", "invoice.paid")+"\nmax_event_size "+file("size", "100"),
		mount("file", "webhooks {\nemit_token "+file("token", "from a file")+"\n}"),
	)
	c := s.mount("file", "Authorization", "Bearer from a file")
	c.must(t, 202, "POST", "/api/events", `{"event_type":"invoice.paid","data":{}}`)
	c.call(t, "POST", "/api/events", `{"event_type":"alert_active","data":{}}`).want(t, 422)
	c.call(t, "POST", "/api/events", `{"event_type":"invoice.paid","data":{"s":"`+strings.Repeat("x", 100)+`"}}`).want(t, 413)
	c.with("Authorization", "Bearer "+file("token", "from a file")).call(t, "GET", "/api/event-types", "").want(t, 401)
}
