package store_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
	"github.com/caddy-webhooks/caddy-webhooks/examples/store"
)

// TestStore runs the suite that every store passes on what the module makes.
func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) delivery.Store {
		s, err := new(store.Memory).NewStore(zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}

// adapt turns a Caddyfile with a store into JSON, as "caddy adapt" does.
func adapt(line string) ([]byte, error) {
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte("{\n\tadmin off\n\twebhooks {\n\t\t"+line+"\n\t}\n}\n"), nil)
	return adapted, err
}

// TestCaddyfile has Caddy load a configuration with the store, as "caddy validate" does.
func TestCaddyfile(t *testing.T) {
	adapted, err := adapt("store memory")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(adapted), `"store":{"module":"memory"}`) {
		t.Errorf("it adapts to %s", adapted)
	}
	var config caddy.Config
	if err := json.Unmarshal(adapted, &config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&config); err != nil {
		t.Errorf("Caddy does not take it: %v", err)
	}
}

// TestUnknownArgument refuses what the store does not know.
func TestUnknownArgument(t *testing.T) {
	for _, line := range []string{"store memory 1GB", "store memory {\n\t\t\tsize 1GB\n\t\t}"} {
		if _, err := adapt(line); err == nil {
			t.Errorf("%q is taken", line)
		}
	}
}
