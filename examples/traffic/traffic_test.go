package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/examples/internal/exampletest"
	"github.com/caddy-webhooks/caddy-webhooks/examples/traffic/devices"
)

func TestMain(m *testing.M) { exampletest.Main(m) }

// TestTraffic has the product used as the README says, and looks at what its customer gets.
func TestTraffic(t *testing.T) {
	product := httptest.NewServer(devices.Handler())
	t.Cleanup(product.Close)
	e := exampletest.New(t, []string{"localhost:8080", "127.0.0.1:9000"}, []string{"example-traffic"})
	e.Set("127.0.0.1:3000", product.Listener.Addr().String())
	e.Set("{\n\tpersist_config", "{\n\tadmin off\n\tpersist_config") // 2019 may be taken
	e.StartCaddy("Caddyfile", "WEBHOOK_SECRET=a-secret-of-the-test")
	const api = "http://localhost:8080/hooks/api"
	e.Eventually("Caddy and its webhook", func() bool {
		var list struct{ Data []any }
		return e.Call(http.MethodGet, api+"/webhooks", &list) == http.StatusOK && len(list.Data) == 1
	})

	for n, c := range []struct{ status, eventType, data string }{
		{"201 Created", "device_created", `{"id":"dev_1","hostname":"nas-7"}`},
		{"204 No Content", "device_deleted", `{"id": "dev_1"}`},
	} {
		if got := e.Curl(n); !strings.HasPrefix(got, "HTTP/1.1 "+c.status) {
			t.Fatalf("the product answers %s", got)
		}
		sent := e.Requests(api, n+1)[0]
		var event struct{ Data json.RawMessage }
		if err := json.Unmarshal([]byte(sent.RequestBody), &event); err != nil {
			t.Fatal(err)
		}
		if sent.EventType != c.eventType || string(event.Data) != c.data || sent.StatusCode != http.StatusOK {
			t.Errorf("the customer gets %+v, not %s %s", sent, c.eventType, c.data)
		}
	}

	if got := e.Curl(2); !strings.HasPrefix(got, "HTTP/1.1 422 ") {
		t.Errorf("the product answers %s", got)
	}
	if got := e.Call(http.MethodGet, "http://localhost:8080/devices/dev_1", nil); got != http.StatusNotFound {
		t.Errorf("the product answers %d", got)
	}
	if got := e.Curl(0); !strings.HasPrefix(got, "HTTP/1.1 201 ") { // events keep their order: what came between made none
		t.Errorf("the product answers %s", got)
	}
	e.Requests(api, 3)
}

// TestReadme holds the three lines of the README against the Caddyfile.
func TestReadme(t *testing.T) { exampletest.WantReadmeOf(t, "Caddyfile") }
