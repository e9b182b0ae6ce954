package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// Documents have the figures of results.json: who measures anew runs make figures.
func TestDocuments(t *testing.T) {
	t.Parallel()
	last, err := readResults("results.json")
	if err != nil {
		t.Fatal(err)
	}
	tables := costs{last}.tables()
	for _, name := range documents {
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		renewed, err := withTables(string(text), tables)
		if err != nil {
			t.Fatal(name, err)
		}
		if renewed != string(text) {
			t.Errorf("the tables of %s are not those of results.json; run make figures", name)
		}
		if !strings.Contains(string(text), "<!-- make figures: ") {
			t.Errorf("%s has no tables", name)
		}
	}
}

// The simulation spreads tenants as the store does, and partitions as Redis does.
func TestPlaces(t *testing.T) {
	t.Parallel()
	store := redis.New(redis.Options{Addresses: []string{redistest.Start(t).Addr}, Partitions: 7})
	defer store.Close()
	if err := store.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, tenant := range []string{"default", "acme", "tenant-1", "a.b_c-d"} {
		if got, want := int(tenantHash(tenant)%7), store.Partition(tenant); got != want {
			t.Errorf("%s is in partition %d, and the store has it in %d", tenant, got, want)
		}
	}
	node := goredis.NewClient(&goredis.Options{Addr: redistest.Start(t, "--cluster-enabled", "yes").Addr})
	defer node.Close()
	for _, partition := range []int{0, 7, 15, 1023} {
		want, err := node.ClusterKeySlot(t.Context(), fmt.Sprintf("webhooks:{%d}:due", partition)).Result()
		if got := partitionSlot(partition); err != nil || int64(got) != want {
			t.Errorf("partition %d has slot %d, and Redis has it in %d, %v", partition, got, want, err)
		}
	}
	for slot, want := range map[int]int{0: 0, 5460: 0, 5461: 1, 5462: 1, 10922: 1, 10923: 2, 16383: 2} {
		if got := slotNode(slot, 3); got != want {
			t.Errorf("slot %d is on node %d of 3, want %d", slot, got, want)
		}
	}
}

func TestBusiestShare(t *testing.T) {
	t.Parallel()
	all := placementsOf(1000)
	skewed := tenantShares(1000, powerLaw)
	sum := 0.0
	for _, share := range skewed {
		sum += share
	}
	if math.Abs(sum-1) > 1e-9 || skewed[0] <= skewed[1] {
		t.Errorf("shares %v, %v and others add up to %v", skewed[0], skewed[1], sum)
	}
	if got := busiestShare(all, skewed, 16, 1); math.Abs(got-1) > 1e-9 {
		t.Errorf("the only node has a share of %v", got)
	}
	many := busiestShare(all, skewed, 256, 10)
	if many < skewed[0] || many > 0.6 || many != busiestShare(placementsOf(1000), skewed, 256, 10) {
		t.Errorf("the busiest of 10 nodes has a share of %v, the largest tenant one of %v", many, skewed[0])
	}
	alike := tenantShares(1000, 0)
	if got := busiestShare(all, alike, 1024, 10); got < 0.1 || got > 0.2 {
		t.Errorf("with tenants that are all alike, the busiest of 10 nodes has a share of %v", got)
	}
}

// What a machine delivers ends where its cores are used up, or the store's thread is.
func TestLimits(t *testing.T) {
	t.Parallel()
	r := new(results).next()
	r.set("E", "redis", figures{cpuCaddy: 0.030, cpuRedis: 0.040, cpuThread: 0.020})
	c := costs{r}
	if n, limited := c.on(2, "E", "redis"); limited || math.Round(n) != 28571 {
		t.Errorf("two cores do %v, limited by the thread: %v", n, limited)
	}
	if n, limited := c.on(8, "E", "redis"); !limited || math.Round(n) != 50000 {
		t.Errorf("eight cores do %v, limited by the thread: %v", n, limited)
	}
	if table := c.coreTable(); !strings.Contains(table, "| 30 | 33,300 | 20 | 50,000 | 3.5 |") {
		t.Errorf("the table is\n%s", table)
	}
}
