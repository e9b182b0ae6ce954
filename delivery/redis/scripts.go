package redis

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

//go:embed scripts/*.lua
var scriptFiles embed.FS

// script is a Lua script, and the hash by which Redis knows it.
type script struct {
	source string
	hash   string
	// readOnly says that Redis refuses its writes.
	readOnly bool
}

var (
	acceptScript        = loadScript("accept")
	claimScript         = loadScript("claim")
	completeScript      = loadScript("complete")
	pendingScript       = loadScript("pending")
	findLeasedScript    = loadScript("find_leased")
	releaseScript       = loadScript("release")
	createWebhookScript = loadScript("create_webhook")
	updateWebhookScript = loadScript("update_webhook")
	deleteWebhookScript = loadScript("delete_webhook")
	dropTypesScript     = loadScript("drop_types")
	eventScript         = loadScript("event")
	eventRequestsScript = loadScript("event_requests")
	lastEndedScript     = loadScript("last_ended")
	leasesScript        = loadScript("leases")
	requestScript       = loadScript("request")
	requestsScript      = loadScript("requests")
	rowsScript          = loadScript("rows")
	succeedScript       = loadScript("succeed")
	storedEventScript   = loadScript("stored_event")
	sweepScript         = loadScript("sweep")

	webhookPendingScript  = loadScript("webhook_pending")
	webhookRequestsScript = loadScript("webhook_requests")
)

// loadScript inserts what a script uses of common.lua after its first line, which declares to
// Redis what the script does.
func loadScript(name string) *script {
	declaration, rest, _ := strings.Cut(readScript(name), "\n")
	readOnly := strings.Contains(declaration, "no-writes")
	source := fmt.Sprintf("%s\nlocal read_only = %t\n%s\n%s", declaration, readOnly, usedOf(common, rest), rest)
	return &script{source: source, hash: redis.NewScript(source).Hash(), readOnly: readOnly}
}

func readScript(name string) string {
	b, err := scriptFiles.ReadFile("scripts/" + name + ".lua")
	if err != nil {
		panic(err) // the script is missing from this program
	}
	return string(b)
}

// call is one run of a script on one partition.
type call struct {
	script *script
	base   string
	args   []any
	// confirmed says that the call succeeds only if the replicas that Options asks for
	// have what it wrote.
	confirmed bool

	whole bool  // whether Redis needs the source of the script
	reply []any // begins with Redis's time, from which the clock has learned
	notes []note
	err   error // wrapped
}

// keys are the keys that the call declares: two keys that never exist, in the slot of those
// that it uses. While a Cluster moves the slot, it refuses a script with two keys that are
// missing. With one, it would run the script on a node that has only some of the keys.
func (c *call) keys() []string { return []string{c.base, c.base + "-"} }

// send sends the call, now or with the rest of a pipeline.
func (c *call) send(ctx context.Context, to redis.Cmdable) *redis.Cmd {
	if c.whole {
		return to.Eval(ctx, c.script.source, c.keys(), c.args...)
	}
	return to.EvalSha(ctx, c.script.hash, c.keys(), c.args...)
}

// run runs a script and returns its reply.
func (s *Store) run(ctx context.Context, script *script, base string, args ...any) ([]any, error) {
	c := &call{script: script, base: base, args: args}
	s.runAll(ctx, c)
	return c.reply, c.err
}

// maxRounds is how often a script is sent: once more if Redis lacks it, and once more if its
// slot has moved. In both cases it was not run.
const maxRounds = 3

// runAll runs scripts in one round trip to each server. Each may fail by itself.
func (s *Store) runAll(ctx context.Context, calls ...*call) {
	clients, again := s.conns.get(), calls
	for round := 1; len(again) > 0; round++ {
		again = s.exchange(ctx, clients, again, round < maxRounds)
	}
	for _, c := range calls {
		if len(c.notes) > 0 {
			s.heed(ctx, c)
		}
	}
}

// exchange sends the calls and returns those that have to be sent again, if they may.
func (s *Store) exchange(ctx context.Context, clients *clients, calls []*call, mayRepeat bool) []*call {
	client, replicas := clients.prompt, replication{}
	if calls[0].confirmed && clients.replication.replicas > 0 {
		client, replicas = clients.waiting, clients.replication
	}
	if clients.topology == nil {
		again, _ := s.exchangeWith(ctx, client, replicas, calls, mayRepeat)
		return again
	}
	nodes := make(map[redis.UniversalClient][]*call, 1)
	for _, c := range calls {
		node, err := nodeOf(ctx, client, c.base)
		if err != nil {
			c.err = s.unreachable(err)
			continue
		}
		nodes[node] = append(nodes[node], c)
	}
	// A node that hangs holds up only the calls to it.
	var (
		group   sync.WaitGroup
		mu      sync.Mutex
		again   []*call
		movedTo string
	)
	for node, calls := range nodes {
		group.Go(func() {
			repeat, address := s.exchangeWith(ctx, node, replicas, calls, mayRepeat)
			mu.Lock()
			defer mu.Unlock()
			again = append(again, repeat...)
			movedTo = cmp.Or(movedTo, address)
		})
	}
	group.Wait()
	if movedTo != "" {
		clients.topology.follow(ctx, movedTo)
	}
	return again
}

// exchangeWith sends calls to one server. If a slot has moved, it also returns the address of
// the node that has it.
func (s *Store) exchangeWith(ctx context.Context, server redis.UniversalClient, replicas replication, calls []*call, mayRepeat bool) (again []*call, movedTo string) {
	asked := time.Now()
	cmds := make([]*redis.Cmd, len(calls))
	var confirmation *confirmation
	if len(calls) == 1 && replicas.replicas == 0 {
		cmds[0] = calls[0].send(ctx, server)
	} else {
		pipe := server.Pipeline()
		for i, c := range calls {
			cmds[i] = c.send(ctx, pipe)
		}
		if replicas.replicas > 0 {
			confirmation = replicas.confirm(ctx, pipe, calls[0].base)
		}
		_, _ = pipe.Exec(ctx) // each command has its own error
	}
	for i, c := range calls {
		reply, err := cmds[i].Result()
		if err != nil && mayRepeat {
			// Redis has lost the script, or never had it. Sending the source runs it,
			// and lets Redis keep it.
			lacking := redis.HasErrorPrefix(err, "NOSCRIPT")
			address, moved := redis.IsMovedError(err)
			if lacking || moved {
				c.whole = c.whole || lacking
				movedTo = cmp.Or(movedTo, address)
				again = append(again, c)
				continue
			}
		}
		c.err = nil // of an earlier try
		c.readReply(s, asked, reply, err)
		if c.err == nil && confirmation != nil {
			c.err = confirmation.err()
		}
	}
	return again, movedTo
}

// readReply reads a reply, and learns the time from it. The time comes first, in an array if
// there are notes.
func (c *call) readReply(s *Store, asked time.Time, reply any, err error) {
	if err != nil {
		c.err = s.wrap(err)
		return
	}
	r, _ := reply.([]any)
	if len(r) == 0 {
		c.err = errUnknownReply
		return
	}
	if noted, ok := r[0].([]any); ok && len(noted) > 0 {
		r[0], c.notes = noted[0], readNotes(noted[1:])
	}
	ms, ok := r[0].(int64)
	if !ok {
		c.err = errUnknownReply
		return
	}
	s.learn(asked, ms)
	c.reply = r
}

// errUnknownReply: the caller does not understand the reply of a script.
var errUnknownReply = delivery.Reason("a script in Redis returned an unknown reply")
