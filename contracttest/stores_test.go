package contracttest

import (
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// store is one of the stores. The tests run with each of them.
type store struct {
	// options returns the store option for a store of that name.
	options func(name string) string
	// away is the store option for one that cannot be reached. An admin is told why, and
	// only the log says where.
	away, why, where string
	// skip matches the tests that do not run with it.
	skip string
}

// inUse is the store that the tests run with.
var inUse store

// ownStore is the store option for a store of one test's own.
func ownStore() string { return inUse.options(uuid.NewString()) + "\n" }

// redisStore keeps each store under a prefix of its own in one Redis.
func redisStore(redis *redistest.Server) store {
	return store{
		options: func(name string) string {
			return "store redis {\n\t\t\taddress " + redis.Addr + "\n\t\t\tkey_prefix " + name + "\n\t\t}"
		},
		away: "store redis redis://127.0.0.1:1", // where nothing listens
		why:  "connection refused", where: "127.0.0.1:1",
	}
}

// embeddedStore keeps each store in a folder of its own. The one called strict is
// the default, in Caddy's data folder.
func embeddedStore(dir string) (store, error) {
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return store{}, err
	}
	return store{
		options: func(name string) string {
			if name == strictName {
				return ""
			}
			return "store embedded " + filepath.Join(dir, name)
		},
		away: "store embedded " + filepath.Join(file, "folder"), // in a file, not a folder
		why:  "not a directory", where: file,
		// These have several Caddys on one store, or nothing to do with the store.
		skip: "^(TestManyCaddys|TestDestinations|TestPorts|TestProxy|TestRedisBlock|TestRetention|TestStoreThatComes|TestCommands|TestBadConfiguration|TestValidate|TestModules|TestSentences|TestDefaultStore)$",
	}, nil
}

const strictName = "strict"
