package redis

import (
	"context"
	"embed"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed scripts/*.lua
var scriptFiles embed.FS

// script is a Lua script, and the hash by which Redis knows it.
type script struct {
	source string
	hash   string
}

var (
	acceptScript        = loadScript("accept")
	claimScript         = loadScript("claim")
	completeScript      = loadScript("complete")
	pendingScript       = loadScript("pending")
	releaseScript       = loadScript("release")
	createWebhookScript = loadScript("create_webhook")
	updateWebhookScript = loadScript("update_webhook")
	deleteWebhookScript = loadScript("delete_webhook")
	eventScript         = loadScript("event")
	eventRequestsScript = loadScript("event_requests")
	lastEndedScript     = loadScript("last_ended")
	requestScript       = loadScript("request")
	requestsScript      = loadScript("requests")
	rowsScript          = loadScript("rows")
	sweepScript         = loadScript("sweep")

	webhookRequestsScript = loadScript("webhook_requests")
)

// loadScript inserts common.lua after the first line of a script, which declares to Redis
// what the script does.
func loadScript(name string) *script {
	common := readScript("common")
	declaration, rest, _ := strings.Cut(readScript(name), "\n")
	source := declaration + "\n" + common + "\n" + rest
	return &script{source: source, hash: redis.NewScript(source).Hash()}
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

	reply []any // begins with Redis's time, from which the clock has learned
	err   error // wrapped
}

// keys are the keys that the call declares: two keys that never exist, in the slot of those
// that it uses. While a Cluster moves the slot, it refuses a script with two keys that are
// missing. With one, it would run the script on a node that has only some of the keys.
func (c *call) keys() []string { return []string{c.base, c.base + "-"} }

// run runs a script and returns its reply.
func (s *Store) run(ctx context.Context, script *script, base string, args ...any) ([]any, error) {
	c := &call{script: script, base: base, args: args}
	s.runAll(ctx, c)
	return c.reply, c.err
}

// runAll runs scripts in one round trip. Each may fail by itself.
func (s *Store) runAll(ctx context.Context, calls ...*call) {
	missing := s.exchange(ctx, calls, func(on redis.Cmdable, c *call) *redis.Cmd {
		return on.EvalSha(ctx, c.script.hash, c.keys(), c.args...)
	})
	if len(missing) == 0 {
		return
	}
	// Redis has lost these scripts, or never had them, and did not run them. Sending
	// the source runs them, and lets Redis keep them.
	s.exchange(ctx, missing, func(on redis.Cmdable, c *call) *redis.Cmd {
		return on.Eval(ctx, c.script.source, c.keys(), c.args...)
	})
}

// exchange runs the calls once and returns those whose script Redis lacks.
func (s *Store) exchange(ctx context.Context, calls []*call, eval func(redis.Cmdable, *call) *redis.Cmd) (missing []*call) {
	asked := time.Now()
	cmds := make([]*redis.Cmd, len(calls))
	if len(calls) == 1 {
		cmds[0] = eval(s.client(), calls[0])
	} else {
		pipe := s.client().Pipeline()
		for i, c := range calls {
			cmds[i] = eval(pipe, c)
		}
		_, _ = pipe.Exec(ctx) // each command has its own error
	}
	for i, c := range calls {
		reply, err := cmds[i].Result()
		if err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") {
			missing = append(missing, c)
			continue
		}
		c.reply, c.err = s.readReply(asked, reply, err)
	}
	return missing
}

// readReply learns the time from a reply.
func (s *Store) readReply(asked time.Time, reply any, err error) ([]any, error) {
	if err != nil {
		return nil, s.wrap(err)
	}
	switch r := reply.(type) {
	case int64:
		s.learn(asked, r)
		return nil, nil
	case []any:
		if len(r) > 0 {
			if ms, ok := r[0].(int64); ok {
				s.learn(asked, ms)
				return r, nil
			}
		}
	}
	return nil, errUnknownReply
}

// errUnknownReply: the caller does not understand the reply of a script.
var errUnknownReply = errors.New("a script in Redis returned an unknown reply")
