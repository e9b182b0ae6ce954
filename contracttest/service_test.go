package contracttest

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]client{
		"nobody": fast.mount("hooks"), "emitter": fast.mount("hooks").emitter(), "no tenant": fast.mount("tenants"), "no tokens": fast.mount("nobody"),
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.must(t, 200, "GET", "/api/health", ""); quote(got) != `{"status":"ok"}` {
				t.Errorf("%v", got)
			}
		})
	}
	if got := fast.admin().must(t, 200, "GET", "/api/health", ""); got["status"] != "ok" {
		t.Errorf("%v", got)
	}
}

func TestStoreOutOfReach(t *testing.T) {
	t.Parallel()
	c := storeless.admin()
	for _, call := range []struct{ method, path, body string }{
		{"POST", "/api/events", `{"event_type":"alert_active","data":{}}`},
		{"GET", "/api/events/" + unknownID, ""},
		{"GET", "/api/webhooks", ""},
		{"POST", "/api/webhooks", `{"url":"http://127.0.0.1:1/"}`},
		{"GET", "/api/webhooks/" + unknownID, ""},
		{"PATCH", "/api/webhooks/" + unknownID, "{}"},
		{"DELETE", "/api/webhooks/" + unknownID, ""},
		{"POST", "/api/webhooks/" + unknownID + "/test", "{}"},
		{"GET", "/api/requests", ""},
		{"GET", "/api/requests/" + unknownID, ""},
		{"POST", "/api/requests/" + unknownID + "/rerun", ""},
	} {
		t.Run(call.method+" "+call.path, func(t *testing.T) {
			a := c.call(t, call.method, call.path, call.body)
			a.want(t, 503)
			if a.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		})
	}
	// Only admins and the log are told why.
	why, where := inUse.why, inUse.where
	eventually(t, "health to say why", func() bool {
		a := c.call(t, "GET", "/api/health", "")
		a.want(t, 503)
		if strings.Contains(a.body, where) {
			t.Errorf("health tells tenants where the store is: %s", a.body)
		}
		return strings.Contains(text(a.object(t)["detail"]), why)
	})
	for _, c := range []client{storeless.mount("hooks"), storeless.mount("hooks").emitter()} {
		a := c.call(t, "GET", "/api/health", "")
		a.want(t, 503)
		if strings.Contains(a.body, why) || strings.Contains(a.body, where) {
			t.Errorf("health tells details to anyone: %s", a.body)
		}
	}
	eventually(t, "the log to say why", func() bool {
		log, err := os.ReadFile(storeless.process.Log)
		return err == nil && strings.Contains(string(log), why) && strings.Contains(string(log), where)
	})
	if a := storeless.mount("beside").call(t, "GET", "", ""); a.status != 200 || a.body != "beside" {
		t.Errorf("the rest of the site answers %d %s", a.status, a.body)
	}
}

// TestStoreThatComes starts Caddy before its store is there.
func TestStoreThatComes(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	redis.Kill()
	s, err := startCaddy(t.TempDir(), "store redis redis://"+redis.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.process.Kill)
	c := s.admin()
	c.call(t, "POST", "/api/events", `{"event_type":"alert_active","data":{}}`).want(t, 503)
	if err := redis.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Caddy to open its store", func() bool { return c.call(t, "GET", "/api/health", "").status == 200 })
	c.emit(t)
}

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	a := fast.mount("hooks").call(t, "GET", "/api/openapi.json", "")
	a.want(t, 200)
	doc := a.object(t)
	if !strings.HasPrefix(text(doc["openapi"]), "3.1.") {
		t.Errorf("openapi: %v", doc["openapi"])
	}
	paths, _ := doc["paths"].(object)
	for path, methods := range map[string]string{
		"/api/events": "post", "/api/events/{id}": "get", "/api/event-types": "get", "/api/webhooks": "get post",
		"/api/webhooks/{id}": "get patch delete", "/api/webhooks/{id}/test": "post", "/api/requests": "get",
		"/api/requests/{id}": "get", "/api/requests/{id}/rerun": "post", "/api/health": "get", "/api/openapi.json": "get",
	} {
		item, _ := paths[path].(object)
		for method := range strings.FieldsSeq(methods) {
			if item[method] == nil {
				t.Errorf("%s %s is missing", method, path)
			}
		}
	}
}

// TestMediaTypes checks that answers are JSON.
func TestMediaTypes(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/api/event-types", "/api/webhooks", "/api/requests", "/api/health", "/api/openapi.json"} {
		a := fast.admin().call(t, http.MethodGet, path, "")
		a.want(t, 200)
		if got := mediaType(a.header); got != "application/json" && !strings.HasSuffix(got, "+json") {
			t.Errorf("%s: Content-Type: %s", path, got)
		}
	}
}
