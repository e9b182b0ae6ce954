package memory_test

import (
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/memory"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// A store that tests rely on must be one.
func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) delivery.Store { return memory.New() })
}
