package redis

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/embedded"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// TestCopy copies between this store, with one partition and with three, and the embedded
// store.
func TestCopy(t *testing.T) {
	t.Parallel()
	type opener = func(t *testing.T) delivery.Copyable
	redis := func(partitions int) opener {
		return func(t *testing.T) delivery.Copyable {
			o := options()
			o.Partitions = partitions
			return open(t, o)
		}
	}
	file := func(t *testing.T) delivery.Copyable {
		s := embedded.New(t.TempDir())
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	}
	encrypted := func(t *testing.T) delivery.Copyable {
		o := options()
		o.Keyring = storetest.Keyring(t, true, 1)
		return open(t, o)
	}
	for _, tc := range []struct {
		name     string
		from, to opener
	}{
		{"EmbeddedToEncrypted", file, encrypted},
		{"EncryptedToEmbedded", encrypted, file},
		{"RedisToEmbedded", redis(1), file},
		{"EmbeddedToPartitions", file, redis(3)},
		{"PartitionsToRedis", redis(3), redis(1)},
	} {
		t.Run(tc.name, func(t *testing.T) { storetest.RunCopy(t, tc.from, tc.to) })
	}
}

// TestCopyCluster copies in a Cluster, where each partition is on one node, and all of them
// together are on all nodes.
func TestCopyCluster(t *testing.T) {
	t.Parallel()
	var addresses []string
	for _, node := range redistest.StartCluster(t, 3) {
		addresses = append(addresses, node.Addr)
	}
	cluster := func(t *testing.T) delivery.Copyable {
		o := options()
		o.Addresses = addresses
		return open(t, o)
	}
	storetest.RunCopy(t, cluster, cluster)
}

// TestCopyKeys checks that an import writes the same keys as making the data here would, in
// a Redis that has other data, too.
func TestCopyKeys(t *testing.T) {
	t.Parallel()
	o := options()
	o.KeyPrefix = "a*[b]?" + o.KeyPrefix // which must not be taken for a pattern
	from, to := open(t, o), open(t, options())
	other := o
	other.KeyPrefix = "axxb" + o.KeyPrefix[len("a*[b]"):]
	stranger := open(t, other)
	mustAccept(t, stranger, newCall(stranger, addWebhook(t, stranger, testTenant), 1, 10, false))

	w := addWebhook(t, from, testTenant)
	call := newCall(from, w, 4, 10, false)
	call.Events[2].ID = uuid.New()
	accepted := mustAccept(t, from, call)
	accepted.LeaseEnd = claim(t, from)[0].LeaseEnd
	done, slow := success(from, w, &call.Events[0], &accepted), success(from, w, &call.Events[1], &accepted)
	slow.Request.Status, slow.Request.ResponseBody, slow.Slow = delivery.RequestFailed, "no", true
	slow.RetryAt = from.Now().Add(time.Hour)
	if err := errors.Join(from.Complete(t.Context(), []delivery.Outcome{done, slow})...); err != nil {
		t.Fatal(err)
	}
	mustCopy(t, from, to)
	got, want := dump(t, to), dump(t, from)
	for key, value := range want {
		if strings.Contains(key, ":arrived:") { // which has other blocks, in which Events finds the same
			value = got[key]
		}
		if got[key] != value {
			t.Errorf("%q holds\n%q, want\n%q", key, got[key], value)
		}
		delete(got, key)
	}
	for key, value := range got {
		t.Errorf("%q holds %q, want nothing", key, value)
	}
}

// dump reads all keys of a store, without its prefix, and what they hold.
func dump(t *testing.T, s *Store) map[string]string {
	t.Helper()
	keys, err := s.client().Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, key := range keys {
		name, ok := strings.CutPrefix(key, s.keys.prefix+":")
		if !ok {
			continue
		}
		if strings.HasSuffix(name, "}:ended") || strings.HasSuffix(name, "}:clock") || strings.Contains(name, "}:changes:") {
			continue // belongs to one store, and is not copied
		}
		var value any
		switch kind := s.client().Type(t.Context(), key).Val(); kind {
		case "string":
			value = []any{s.client().Get(t.Context(), key).Val(), s.client().PExpireTime(t.Context(), key).Val()}
		case "hash":
			fields := s.client().HGetAll(t.Context(), key).Val()
			delete(fields, versionField) // this and the next are each store's own
			delete(fields, positionsField)
			value = fields
		case "set":
			value = s.client().SMembersMap(t.Context(), key).Val()
		case "zset":
			value = s.client().ZRangeWithScores(t.Context(), key, 0, -1).Val()
		default:
			t.Fatalf("%q is a %s", key, kind)
		}
		all[name] = fmt.Sprint(value)
	}
	return all
}

// TestCopyDropped leaves out an event that is older than the retention, which was shortened.
func TestCopyDropped(t *testing.T) {
	t.Parallel()
	from, to := open(t, options()), open(t, options())
	w := addWebhook(t, from, testTenant)
	call := newCall(from, w, 1, 10, true)
	accepted := mustAccept(t, from, call)
	tried := success(from, w, &call.Events[0], &accepted)
	tried.Request.Status, tried.RetryAt = delivery.RequestFailed, from.Now()
	if err := errors.Join(from.Complete(t.Context(), []delivery.Outcome{tried})...); err != nil {
		t.Fatal(err)
	}
	mustSweep(t, from, -4*time.Hour) // as hours later
	mustCopy(t, from, to)
	if n, err := to.Pending(t.Context()); err != nil || n != 0 {
		t.Errorf("%d deliveries are pending, %v", n, err)
	}
	_, _, err := to.Event(t.Context(), testTenant, call.Events[0].ID)
	wantError(t, "the event", err, delivery.ErrNotFound)
}

// TestCopyDeleted copies a webhook back to a store that is about to remove its rows.
func TestCopyDeleted(t *testing.T) {
	t.Parallel()
	from, to := open(t, options()), open(t, options())
	w := addWebhook(t, from, testTenant)
	call := newCall(from, w, 1, 10, true)
	accepted := mustAccept(t, from, call)
	if err := errors.Join(from.Complete(t.Context(), []delivery.Outcome{success(from, w, &call.Events[0], &accepted)})...); err != nil {
		t.Fatal(err)
	}
	mustCopy(t, from, to)
	if err := to.DeleteWebhook(t.Context(), w.Ref()); err != nil {
		t.Fatal(err)
	}
	mustCopy(t, from, to)
	sweepAll(t, to)
	page, err := to.Requests(t.Context(), testTenant, delivery.RequestFilter{WebhookID: w.ID, Limit: 10})
	if err != nil || len(page.Requests) != 1 {
		t.Errorf("the log has %d rows, %v, want 1", len(page.Requests), err)
	}
}

func mustCopy(t *testing.T, from, to *Store) {
	t.Helper()
	if err := delivery.Copy(t.Context(), from, to, func(string, int, int) {}); err != nil {
		t.Fatal(err)
	}
}
