// Package receiver_test runs this folder's example as its README says.
package receiver_test

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/examples/internal/exampletest"
)

func TestMain(m *testing.M) { exampletest.Main(m) }

// TestReceiver lets through what the sender has signed, and neither what is made up nor what
// was received before.
func TestReceiver(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	secret := regexp.MustCompile("WEBHOOK_SECRET=whsec_.*").FindString(string(readme))
	e := exampletest.New(t, []string{"localhost:8080", "127.0.0.1:8081", "127.0.0.1:9000"}, []string{"example-sender", "example-receiver"})
	e.StartCaddy("receiver.Caddyfile", secret)
	e.StartCaddy("sender.Caddyfile", secret)
	const api = "http://localhost:8080/hooks/api"
	e.Eventually("the sender and its webhook", func() bool {
		var list struct{ Data []any }
		return e.Call(http.MethodGet, api+"/webhooks", &list) == http.StatusOK && len(list.Data) == 1
	})
	e.Eventually("the receiver", func() bool { return e.Call(http.MethodGet, "http://127.0.0.1:8081/", nil) != 0 })

	if got := e.Curl(0); !strings.Contains(got, " 202 Accepted") {
		t.Fatalf("the event was answered with %s", got)
	}
	sent := e.Requests(api, 1)[0]
	if sent.StatusCode != http.StatusOK || sent.ResponseBody != "Thanks for "+sent.EventID {
		t.Errorf("what the sender signs: %+v", sent)
	}
	if got := e.Curl(1); !strings.Contains(got, " 401 Unauthorized") || strings.Contains(got, "Thanks") {
		t.Errorf("what somebody makes up was answered with %s", got)
	}
	e.Call(http.MethodPost, api+"/requests/"+sent.ID+"/rerun", nil)
	if again := e.Requests(api, 2)[0]; again.StatusCode != http.StatusUnauthorized {
		t.Errorf("what was received before: %+v", again)
	}
}

// TestReadme holds the lines of the README against the Caddyfile.
func TestReadme(t *testing.T) { exampletest.WantReadmeOf(t, "receiver.Caddyfile") }
