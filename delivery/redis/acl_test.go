package redis

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// readmeUser is the command by which the README adds a user.
func readmeUser(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^ACL SETUSER webhooks on >PASSWORD ~webhooks:\* .*$`).FindString(string(raw))
	if line == "" {
		t.Fatal("the README shows no user")
	}
	return line
}

// readmeClusterRights are what the README says that a Cluster needs, too.
func readmeClusterRights(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("In a Cluster, add `([^`]+)`").FindStringSubmatch(string(raw))
	if found == nil {
		t.Fatal("the README does not say what a Cluster needs")
	}
	return strings.Fields(found[1])
}

// addReadmeUser adds the user that the README shows, and returns options for it.
func addReadmeUser(t *testing.T, servers ...*redistest.Server) Options {
	t.Helper()
	// Each store of the suite has its own prefix.
	line := strings.NewReplacer(">PASSWORD", ">hush", "~webhooks:*", "~test*").Replace(readmeUser(t))
	if len(servers) > 1 {
		line += " " + strings.Join(readmeClusterRights(t), " ")
	}
	var command []any
	for word := range strings.FieldsSeq(line) {
		command = append(command, word)
	}
	o := options()
	o.Addresses, o.Username, o.Password = nil, "webhooks", "hush"
	for _, server := range servers {
		if err := asRoot(t, server).Do(t.Context(), command...).Err(); err != nil {
			t.Fatal(err)
		}
		o.Addresses = append(o.Addresses, server.Addr)
	}
	return o
}

func asRoot(t *testing.T, server *redistest.Server) *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// wantNothingDenied fails the test if Redis denied the user a command. Only Redis's settings
// may be denied.
func wantNothingDenied(t *testing.T, servers ...*redistest.Server) {
	t.Helper()
	for _, server := range servers {
		denied, err := asRoot(t, server).ACLLog(t.Context(), 100).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range denied {
			if entry.Object != "config|get" {
				t.Errorf("denied: %+v", *entry)
			}
		}
	}
}

// TestReadmeUser runs the suite as the Redis user that the README shows.
func TestReadmeUser(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := addReadmeUser(t, server)
	storetest.RunVariant(t, 3, func(t *testing.T) delivery.Store {
		o := o
		o.KeyPrefix = options().KeyPrefix
		return open(t, o)
	})
	wantNothingDenied(t, server)
}

// TestReadmeUserInCluster does a little of everything as that user in a Cluster.
func TestReadmeUserInCluster(t *testing.T) {
	nodes := redistest.StartCluster(t, 3)
	s := open(t, addReadmeUser(t, nodes...))
	w := addWebhook(t, s, testTenant)
	mustAccept(t, s, newCall(s, w, 1, 10, false))
	if jobs := claim(t, s); len(jobs) != 1 {
		t.Errorf("claimed %d deliveries", len(jobs))
	}
	wantNothingDenied(t, nodes...)
}
