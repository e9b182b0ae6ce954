package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// runCaddyfile runs a Caddyfile in a process of its own until stop is called, as it
// must be. The site has the API at /hooks/.
func runCaddyfile(t *testing.T, file, site string) (stop func()) {
	t.Helper()
	cmd := caddyCommand(t, "run", "--config", file)
	cmd.Dir = t.TempDir()
	cmd.Env = append(cmd.Env, "XDG_DATA_HOME="+cmd.Dir)
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Caddy to be ready", func() bool {
		got, err := try(http.MethodGet, site+"/hooks/api/health", "", "Authorization", asEmitter)
		return err == nil && got.status == http.StatusOK
	})
	return func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, output.String())
		}
	}
}

// TestReadmeTry tries the module as the README says: with its Caddyfile, its commands
// and the page.
func TestReadmeTry(t *testing.T) {
	t.Parallel()
	site, receiver := freeAddr(t), freeAddr(t)
	file := writeCaddyfile(t, readmeBlocks(t, "Try it", "caddyfile")[0], map[string]string{
		"{\n\twebhooks {":        "{\n\tadmin off\n\twebhooks {",
		"http://localhost:8080":  "http://" + site,
		"http://127.0.0.1:9000 ": "http://" + receiver + " ",
	})
	stop := runCaddyfile(t, file, "http://"+site)
	defer stop()

	blocks := readmeBlocks(t, "Try it", "sh")
	commands := strings.NewReplacer("localhost:8080", site, "127.0.0.1:9000", receiver).Replace(blocks[len(blocks)-1])
	want := []int{http.StatusCreated, http.StatusAccepted}
	for i, args := range curls(t, commands, nil) {
		c := parseCurl(t, args)
		if got, err := try(c.method, c.url, c.body, c.headers...); err != nil || i >= len(want) || got.status != want[i] {
			t.Fatalf("curl %q: got %d, %v: %s", args, got.status, err, got.body)
		}
	}

	login := []string{"Authorization", asBasic("me", "admin-secret-to-try")}
	if got := do(t, http.MethodGet, "http://"+site+"/hooks", "", login...); !strings.Contains(string(got.body), "<title>Webhooks</title>") {
		t.Errorf("the page is %s", got.body)
	}
	var list requestList
	eventually(t, "the request to be in the log", func() bool {
		got := do(t, http.MethodGet, "http://"+site+"/hooks/api/requests", "", login...)
		return json.Unmarshal(got.body, &list) == nil && len(list.Data) == 1
	})
	var r request
	do(t, http.MethodGet, "http://"+site+"/hooks/api/requests/"+list.Data[0].ID, "", login...).want(t, http.StatusOK, &r)
	if r.Status != "success" || r.ResponseBody == nil || !strings.HasPrefix(*r.ResponseBody, `Thanks for {"event_type":"device_created"`) {
		t.Errorf("the request is %+v", r)
	}
}

// TestReadmeForwardAuth has another server say who somebody is, as the README does,
// and callers who would like to say so themselves.
func TestReadmeForwardAuth(t *testing.T) {
	t.Parallel()
	// It knows ada. Others whom it lets in stay without a name.
	authenticator := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/api/authz/forward-auth":
			http.NotFound(w, r)
		case r.Header.Get("Cookie") == "session=ada":
			w.Header().Set("Remote-User", "ada")
		case r.Header.Get("Cookie") != "session=nameless":
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer authenticator.Close()
	site := "http://" + freeAddr(t)
	file := writeCaddyfile(t, "{\n\tadmin off\n}\n"+readmeBlocks(t, "Configure", "caddyfile")[1], map[string]string{
		"example.com {":  site + " {",
		"authelia:9091 ": authenticator.Listener.Addr().String() + " ",
	})
	stop := runCaddyfile(t, file, site)
	defer stop()
	for _, tc := range []struct {
		name    string
		headers []string
		list    int // status of GET api/webhooks
		emit    int // and of POST api/events
	}{
		{"ada", []string{"Cookie", "session=ada"}, 200, 202},
		{"ada as eve", []string{"Cookie", "session=ada", "Remote-User", "eve"}, 200, 202},
		{"nobody", nil, 401, 401},
		{"nobody as ada", []string{"Remote-User", "ada"}, 401, 401},
		{"nameless", []string{"Cookie", "session=nameless"}, 401, 401},
		{"nameless as ada", []string{"Cookie", "session=nameless", "Remote-User", "ada"}, 401, 401},
		{"nameless as ada by another spelling", []string{"Cookie", "session=nameless", "Remote_User", "ada"}, 401, 401},
		{"product", []string{"Authorization", asEmitter}, 403, 202},
		{"product as ada", []string{"Authorization", asEmitter, "Remote-User", "ada"}, 403, 202},
		{"wrong token", []string{"Authorization", "Bearer wrong"}, 401, 401},
		{"wrong token as ada", []string{"Authorization", "Bearer wrong", "Remote-User", "ada"}, 401, 401},
		{"no token as ada", []string{"Authorization", "Bearer", "remote-user", "ada"}, 401, 401},
		{"password", []string{"Authorization", asBasic("ada", "password"), "Remote-User", "ada"}, 401, 401},
	} {
		if got, err := try(http.MethodGet, site+"/hooks/api/webhooks", "", tc.headers...); err != nil || got.status != tc.list {
			t.Errorf("%s lists webhooks: got %d, %v: %s", tc.name, got.status, err, got.body)
		}
		const event = `{"event_type":"device_created","data":{}}`
		if got, err := try(http.MethodPost, site+"/hooks/api/events", event, tc.headers...); err != nil || got.status != tc.emit {
			t.Errorf("%s emits: got %d, %v: %s", tc.name, got.status, err, got.body)
		}
	}
}
