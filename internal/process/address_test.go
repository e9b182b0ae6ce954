package process_test

import (
	"net"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/internal/process"
)

func TestFreeAddress(t *testing.T) {
	taken := make(map[string]bool)
	for range 1000 {
		address, err := process.FreeAddress()
		if err != nil {
			t.Fatal(err)
		}
		if taken[address] {
			t.Fatalf("%s was returned twice", address)
		}
		taken[address] = true
		// An address in use must be passed over.
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
	}
}
