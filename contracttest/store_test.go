package contracttest

import (
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// TestRedisBlock has a Redis that knows one user, who may touch the keys of one
// prefix, and looks at where they are.
func TestRedisBlock(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--user", "default", "off", "--user", "ada", "on", ">pass", "~hooks:*", "&*", "+@all")
	s := start(t, "store redis {\naddress "+server.Addr+"\nusername ada\npassword pass\ndb 3\nkey_prefix hooks\n}")
	s.admin().emit(t)

	client := goredis.NewClient(&goredis.Options{Addr: server.Addr, Username: "ada", Password: "pass", DB: 3})
	defer client.Close()
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) == 0 {
		t.Fatalf("in db 3 there is %q, %v", keys, err)
	}
	for _, key := range keys {
		if !strings.HasPrefix(key, "hooks:") {
			t.Errorf("%s has another prefix", key)
		}
	}
}
