package contracttest

import (
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// store is one of the stores, with each of which the tests run.
type store struct {
	// options is the option of the store with a name.
	options func(name string) string
	// away is the option of one that cannot be reached, why what an admin is told of
	// it, and where a part of that.
	away, why, where string
	// skip are tests that are not for it.
	skip string
}

// inUse is the store of the tests that run.
var inUse store

// ownStore is the option of a store for one test.
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
		away: "store embedded " + filepath.Join(file, "folder"), // in what is no folder
		why:  "not a directory", where: file,
		// They have several Caddys on one store, or nothing to do with it.
		skip: "^(TestManyCaddys|TestDestinations|TestProxy|TestRedisBlock|TestRetention|TestStoreThatComes|TestCommands|TestBadConfiguration|TestValidate|TestModules|TestSentences|TestDefaultStore)$",
	}, nil
}

const strictName = "strict"
