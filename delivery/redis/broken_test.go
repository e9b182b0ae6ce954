package redis

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// kinds are the kinds of keys in a partition, without what varies: see keys.go.
var kinds = []string{
	"due", "due:slow", "paused", "pending", "leases", "leased", "state", "webhooks", "changes", "events", "event", "deliveries", "requests", "bodies", "log", "types", "freetypes", "typesof",
	"logs", "hours", "days", "swept", "gone", "ended", "clock", "stats", "aside", "audit", "audits", "auditbytes", "arrived", "arrivals", "erasing",
}

// optionKinds are those of what only some webhooks have, and of replays.
var optionKinds = []string{"rates", "queue", "ordered", "declared", "replays", "replaying"}

// scriptCommands finds the commands that the scripts use.
func scriptCommands(t *testing.T) []string {
	t.Helper()
	files, err := scriptFiles.ReadDir("scripts")
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile(`\b(?:read|write|show|in_chunks|read_chunks|show_chunks|flush|try|redis\.p?call)\('([A-Z]+)'`)
	var commands []string
	for _, file := range files {
		name := strings.TrimSuffix(file.Name(), ".lua")
		for _, found := range call.FindAllStringSubmatch(readScript(name), -1) {
			commands = append(commands, found[1])
		}
	}
	slices.Sort(commands)
	return slices.Compact(commands)
}

// breakable is a life whose user can be denied something.
type breakable struct {
	*life
	root *redis.Client
	user string
}

func newBreakable(t *testing.T, imported []*delivery.Batch) *breakable {
	t.Helper()
	o := options()
	b := &breakable{root: asRoot(t, server), user: o.KeyPrefix}
	o.Username, o.Password = b.user, "hush"
	b.life = &life{driver: &driver{T: t}}
	b.set("on", ">hush", "~"+o.KeyPrefix+":*", "+@all", "resetchannels")
	t.Cleanup(func() { _ = b.root.ACLDelUser(context.Background(), b.user) })
	b.life = newLife(t, o)
	b.imported = slices.Clone(imported)
	return b
}

func (b *breakable) set(rules ...string) {
	b.Helper()
	args := []any{"ACL", "SETUSER", b.user}
	for _, rule := range rules {
		args = append(args, rule)
	}
	if err := b.root.Do(b.Context(), args...).Err(); err != nil {
		b.Fatal(err)
	}
}

// denyKind takes the rights away for keys of one kind: all, or only that to write.
func (b *breakable) denyKind(kind string, onlyWrites bool) {
	base := b.s.keys.base(0)
	rules := []string{"resetkeys", "~" + b.s.keys.meta(), "~" + base, "~" + base + "-"}
	for _, k := range slices.Concat(kinds, optionKinds) {
		access := "~"
		if k == kind {
			if !onlyWrites {
				continue
			}
			access = "%R~"
		}
		rules = append(rules, access+base+k)
		if k != "due" { // due:slow is another kind
			rules = append(rules, access+base+k+":*")
		}
	}
	b.set(rules...)
}

// exported is what one store has, to be imported by another.
func exported(t *testing.T) []*delivery.Batch {
	t.Helper()
	s := open(t, options())
	w := addWebhook(t, s, "moved")
	call := newCall(s, w, 1, 10, true)
	accepted := mustAccept(t, s, call)
	if err := errors.Join(s.Complete(t.Context(), []delivery.Outcome{success(s, w, &call.Events[0], &accepted)})...); err != nil {
		t.Fatal(err)
	}
	mustAccept(t, s, newCall(s, w, 2, 10, false))
	var batches []*delivery.Batch
	for batch, err := range s.Export(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		batches = append(batches, batch)
	}
	return batches
}

// breakWhile lives while something is denied, and then goes on without that.
func (b *breakable) breakWhile(deny func()) {
	b.Helper()
	// So that something has to be set aside, too.
	base := b.s.keys.base(0)
	b.root.Set(b.Context(), clockKey(base), "no clock", 0)
	for id := range b.written {
		b.root.HSet(b.Context(), requestsKey(base, id), string(id[:]), strings.Repeat("x", requestHeadSize))
		delete(b.written, id)
		break
	}
	before := b.failures
	deny()
	b.live()
	if b.failures == before && b.logs.FilterLevelExact(zap.ErrorLevel).Len() == 0 {
		b.Error("nobody has heard of it")
	}
	b.set("resetkeys", "~"+b.s.keys.prefix+":*", "+@all")
	b.end()
}

// TestDeniedCommands denies each command that the scripts use, in turn. Nothing that was
// acknowledged may get lost, nothing be sent without end, and nothing be said that is not so.
func TestDeniedCommands(t *testing.T) {
	t.Parallel()
	imported := exported(t)
	commands := scriptCommands(t)
	if len(commands) < 30 {
		t.Fatalf("the scripts seem to use only %v", commands)
	}
	for _, command := range commands {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			b := newBreakable(t, imported)
			b.breakWhile(func() { b.set("-" + strings.ToLower(command)) })
		})
	}
}

// isShow has the kinds of keys that complete.lua writes only for show.
var isShow = map[string]bool{"types": true, "freetypes": true, "logs": true, "log": true, "days": true, "stats": true, "ended": true}

// TestDeniedKeys denies each kind of key in turn, so that scripts fail in their middle.
func TestDeniedKeys(t *testing.T) {
	t.Parallel()
	imported := exported(t)
	for _, kind := range slices.Concat(kinds, optionKinds) {
		for name, onlyWrites := range map[string]bool{"all": false, "writes": true} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				b := newBreakable(t, imported)
				b.breakWhile(func() { b.denyKind(kind, onlyWrites) })
				if onlyWrites && isShow[kind] && b.unwritten > 0 {
					t.Error("what is only for show kept outcomes from being written")
				}
			})
		}
	}
}

// TestBrokenOff denies the last keys that accept.lua writes: it is unknown whether the event
// was stored. When it has written nothing, that is known.
func TestBrokenOff(t *testing.T) {
	t.Parallel()
	b := newBreakable(t, nil)
	w := b.remembered[otherTenant].webhooks[0]
	for kind, unknown := range map[string]bool{
		"leases": false, "leased": true, "pending": false, "due": true, "hours": true, "events": true, "event": true,
	} {
		call := newCall(b.s, w, 1, 10, strings.HasPrefix(kind, "lease"))
		if kind == "event" {
			call.Events[0].ID = uuid.New()
		}
		b.denyKind(kind, true)
		err := accept(b.s, call).Err
		if err == nil || errors.Is(err, delivery.ErrUnavailable) == unknown || !strings.Contains(err.Error(), "README.md") {
			t.Errorf("without rights for %s: %v", kind, err)
		}
	}
}
