package redis

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

const garbage = "\xff\x00 \r\n garbage"

// damages are what may happen to a key.
var damages = map[string]func(ctx context.Context, on *redis.Client, key string){
	"wrong type": func(ctx context.Context, on *redis.Client, key string) {
		kind := on.Type(ctx, key).Val()
		on.Del(ctx, key)
		if kind == "string" {
			on.RPush(ctx, key, garbage)
		} else {
			on.Set(ctx, key, garbage, 0)
		}
	},
	"garbage": func(ctx context.Context, on *redis.Client, key string) {
		mapValues(ctx, on, key, func(string) string { return garbage })
	},
	"cut": func(ctx context.Context, on *redis.Client, key string) {
		mapValues(ctx, on, key, func(value string) string { return value[:len(value)/2] })
	},
	"missing": func(ctx context.Context, on *redis.Client, key string) { on.Del(ctx, key) },
}

// mapValues changes all values of a key. The members of a set have none: there is one more.
func mapValues(ctx context.Context, on *redis.Client, key string, change func(string) string) {
	switch on.Type(ctx, key).Val() {
	case "string":
		on.SetArgs(ctx, key, change(on.Get(ctx, key).Val()), redis.SetArgs{KeepTTL: true})
	case "hash":
		for field, value := range on.HGetAll(ctx, key).Val() {
			on.HSet(ctx, key, field, change(value))
		}
	case "zset":
		for _, member := range on.ZRange(ctx, key, 0, -1).Val() {
			on.ZAdd(ctx, key, redis.Z{Member: change(member)})
		}
	case "set":
		for _, member := range on.SMembers(ctx, key).Val() {
			on.SAdd(ctx, key, change(member))
		}
	case "stream":
		on.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: []string{change(testTenant), change(string(make([]byte, 16)))}})
	}
}

// keysOf finds the keys of a kind, and only those of one tenant if they belong to tenants.
func (l *life) keysOf(kind string) (found []string) {
	base := l.s.keys.base(0)
	for _, key := range l.s.client().Keys(l.Context(), base+kind+"*").Val() {
		rest := strings.TrimPrefix(key, base+kind)
		switch kind {
		case "pending", "webhooks", "event", "log", "stats":
			if strings.HasPrefix(rest, ":"+testTenant) {
				found = append(found, key)
			}
		case "due":
			if rest == "" {
				found = append(found, key)
			}
		default:
			if rest == "" || rest[0] == ':' {
				found = append(found, key)
			}
		}
	}
	return found
}

// TestPoison damages the keys of each kind in each way. Calls go on without an error, pages
// are served, and deliveries of other tenants arrive, as does what is accepted afterwards.
func TestPoison(t *testing.T) {
	t.Parallel()
	for _, kind := range slices.Concat(kinds, optionKinds) {
		for name, damage := range damages {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				l := newLife(t, options())
				for _, key := range l.keysToDamage(kind) {
					damage(t.Context(), l.s.client().(*redis.Client), key)
				}
				l.expectLess(kind)
				l.live()
				if l.failures > 0 {
					t.Errorf("%d calls failed", l.failures)
				}
				l.end()
				l.wantSetAside(name == "wrong type" && kind != "freetypes" || name != "missing" && isChecked[kind])
			})
		}
	}
}

// isChecked has the kinds of keys whose values are checked when they are read.
var isChecked = map[string]bool{
	"state": true, "webhooks": true, "events": true, "event": true, "deliveries": true, "requests": true, "types": true, "stats": true, "clock": true, "arrived": true, "erasing": true,
}

// keysToDamage finds the keys of a kind, or makes one.
func (l *life) keysToDamage(kind string) []string {
	if slices.Contains(optionKinds, kind) {
		l.useOptions()
	}
	keys := l.keysOf(kind)
	if kind == "aside" {
		base := l.s.keys.base(0)
		l.s.client().HSet(l.Context(), stateKey(base), refText(l.waiting.Ref()), garbage)
		return []string{base + "aside"}
	}
	if kind == "freetypes" {
		key := l.s.keys.base(0) + kind
		l.s.client().SAdd(l.Context(), key, 60_000)
		return []string{key}
	}
	if kind == "erasing" { // nothing is left of its event
		key := l.s.keys.base(0) + kind
		l.s.client().SAdd(l.Context(), key, eventField(testTenant, uuid.New()))
		return []string{key}
	}
	if kind == "leases" || kind == "leased" {
		l.emit(testTenant, 1)
		keys = l.keysOf(kind)
	}
	if len(keys) == 0 {
		l.Fatal("there is no such key")
	}
	return keys
}

// useOptions makes the keys that there are only for webhooks with options and for replays.
func (l *life) useOptions() {
	l.Helper()
	for _, tenant := range []string{limited, ordered, declared} {
		if !l.emit(tenant, 3) {
			l.Fatal("an event was not accepted")
		}
	}
	r := &delivery.Replay{
		Tenant: testTenant, ID: delivery.NewID(l.s.Now()), State: delivery.ReplayRunning,
		Filter: delivery.ReplayFilter{Status: delivery.ReplayAny, Since: l.s.Now().Add(-time.Hour), Until: l.s.Now()},
	}
	if err := l.s.CreateReplay(l.Context(), r, testRetention); err != nil {
		l.Fatal(err)
	}
}

// expectLess expects no more of the tenant whose records were damaged than that it goes on.
func (l *life) expectLess(kind string) {
	for key := range l.acknowledged {
		if key.tenant == testTenant || kind == "deliveries" || kind == "events" {
			delete(l.acknowledged, key)
		}
	}
	clear(l.written)
	switch kind {
	case "audit":
		l.promises = nil // those made so far are all of it
	case "declared":
		delete(l.options, declared) // it may be forgotten
	}
	if kind == "webhooks" {
		l.ignored = testTenant // what was scheduled waits for its webhooks
	}
}

// wantSetAside checks whether something was set aside, and that the log has all that was.
func (l *life) wantSetAside(something bool) {
	l.Helper()
	n := l.s.SetAside()
	if something && n == 0 {
		l.Error("nothing was set aside")
	}
	if said := l.logs.FilterMessage("a record in Redis cannot be read; it was set aside").Len(); int64(said) != n {
		l.Errorf("the log says of %d of %d records that they were set aside", said, n)
	}
}
