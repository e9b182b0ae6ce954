package main

import (
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// The commands of clients count, and those of their scripts do not.
func TestCountCommands(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: redistest.Start(t).Addr})
	defer client.Close()
	// The commands of connecting do not count either.
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	counted, err := countCommands(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	script := "for i = 1, 5 do redis.call('INCR', KEYS[1]) end"
	if err := client.Eval(t.Context(), script, []string{"n"}).Err(); !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	if n, err := client.Get(t.Context(), "n").Int(); err != nil || n != 5 {
		t.Fatal(n, err)
	}
	if n, err := counted(); err != nil || n != 2 {
		t.Errorf("EVAL and GET were counted as %d, %v", n, err)
	}
}
