package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// TestOpenAPIMounts asks for the document wherever the API is mounted.
func TestOpenAPIMounts(t *testing.T) {
	s := startSite(t, siteConfig{
		webhooks: "store redis redis://" + redistest.Start(t).Addr + "\nevent_types first second",
		more: `
	handle /api/* {
		webhooks
	}
	handle_path /deep/er/* {
		webhooks
	}
	handle_path /tenant/* {
		webhooks {
			tenant {header.X-Tenant}
		}
	}
	handle /route/* {
		route {
			uri strip_prefix /route
			webhooks
		}
	}`,
	})
	for path, want := range map[string]string{
		"/hooks":   "/hooks",
		"":         "/",
		"/deep/er": "/deep/er",
		"/tenant":  "/tenant",
		"/route":   "/route",
	} {
		got := s.do(http.MethodGet, path+"/api/openapi.json", "")
		var doc struct {
			OpenAPI string `json:"openapi"`
			Servers []struct {
				URL string `json:"url"`
			} `json:"servers"`
			Info       any
			Paths      map[string]map[string]any
			Components struct {
				Schemas map[string]struct {
					Enum []string `json:"enum"`
				} `json:"schemas"`
			}
		}
		if err := json.Unmarshal(got.body, &doc); err != nil || got.status != http.StatusOK {
			t.Fatalf("%s: %d, %v", path, got.status, err)
		}
		if len(doc.Servers) != 1 || doc.Servers[0].URL != want || !strings.HasPrefix(doc.OpenAPI, "3.1.") {
			t.Errorf("%s: got OpenAPI %s, servers %v", path, doc.OpenAPI, doc.Servers)
		}
		if enum := doc.Components.Schemas["EventTypeName"].Enum; strings.Join(enum, " ") != "first second" {
			t.Errorf("%s: event types are %q", path, enum)
		}
		got.wantHeaders(t)
	}
	s.do(http.MethodPost, "/hooks/api/openapi.json", "").wantProblem(t, http.StatusMethodNotAllowed)
	s.do(http.MethodGet, "/hooks/api/openapi.json?x=1", "").wantProblem(t, http.StatusBadRequest)
}
