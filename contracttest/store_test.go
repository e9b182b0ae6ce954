package contracttest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// TestDefaultStore configures no store: an event is kept in Caddy's data folder, and the
// next Caddy finds it there.
func TestDefaultStore(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	inData := func() *server { return startIn(t, data, "") }
	s := inData()
	admin := s.admin()
	event := admin.emit(t)["event_id"]
	if _, err := os.Stat(filepath.Join(data, "data", "caddy", "webhooks", "webhooks.db")); err != nil {
		t.Error(err)
	}
	s.process.Kill()
	admin.base = strings.Replace(admin.base, s.url, inData().url, 1)
	admin.must(t, 200, "GET", "/api/events/"+text(event), "")
}

// TestRedisBlock has a Redis with a single user, who may touch the keys of one prefix
// only, and looks at where the keys are.
func TestRedisBlock(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--user", "default", "off", "--user", "ada", "on", ">pass", "~hooks:*", "&*", "+@all")
	s := start(t, "store redis {\naddress "+server.Addr+"\nusername ada\npassword pass\ndb 3\nkey_prefix hooks\n}")
	s.admin().emit(t)

	client := goredis.NewClient(&goredis.Options{Addr: server.Addr, Username: "ada", Password: "pass", DB: 3})
	defer client.Close()
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) == 0 {
		t.Fatalf("the keys in db 3 are %q, %v", keys, err)
	}
	for _, key := range keys {
		if !strings.HasPrefix(key, "hooks:") {
			t.Errorf("%s has another prefix", key)
		}
	}
}
