package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

var rightsScript = loadScript("rights")

// theKey stands, in a trial, for a key that does not exist.
const theKey = "@"

// trial is a command that changes nothing on a key that does not exist, in the form in which
// the store uses it. If want is not empty, the command fails, and says so.
type trial struct {
	args []any
	want string
}

// trials have all commands that the store uses on keys. APPEND and SADD alone have no form that
// changes nothing: they are the last ones, and rights.lua removes what they add.
var trials = []trial{
	{args: []any{"TIME"}},
	{args: []any{"EXISTS", theKey}},
	{args: []any{"TYPE", theKey}},
	{args: []any{"RENAME", theKey, theKey}, want: "no such key"},
	{args: []any{"UNLINK", theKey}},
	{args: []any{"EXPIREAT", theKey, 0}},
	{args: []any{"PEXPIRETIME", theKey}},
	{args: []any{"SCAN", 0, "COUNT", 1}},

	{args: []any{"GET", theKey}},
	{args: []any{"MGET", theKey}},
	{args: []any{"GETRANGE", theKey, 0, 1}},
	{args: []any{"STRLEN", theKey}},
	{args: []any{"SET", theKey, "", "XX", "PXAT", 1}},

	{args: []any{"HGET", theKey, ""}},
	{args: []any{"HMGET", theKey, ""}},
	{args: []any{"HGETALL", theKey}},
	{args: []any{"HEXISTS", theKey, ""}},
	{args: []any{"HLEN", theKey}},
	{args: []any{"HSTRLEN", theKey, ""}},
	{args: []any{"HSCAN", theKey, 0, "COUNT", 1}},
	{args: []any{"HDEL", theKey, ""}},
	{args: []any{"HSET", theKey, "", "", ""}, want: "number of arguments"},
	{args: []any{"HINCRBY", theKey, "", "x"}, want: "not an integer"},

	{args: []any{"ZCARD", theKey}},
	{args: []any{"ZSCORE", theKey, ""}},
	{args: []any{"ZMSCORE", theKey, ""}},
	{args: []any{"ZRANGE", theKey, 0, 0, "WITHSCORES"}},
	{args: []any{"ZRANGEBYSCORE", theKey, "-inf", 0, "LIMIT", 0, 1}},
	{args: []any{"ZRANGEBYLEX", theKey, "-", "+", "LIMIT", 0, 1}},
	{args: []any{"ZREVRANGE", theKey, 0, 0}},
	{args: []any{"ZREVRANGEBYSCORE", theKey, 0, "-inf", "LIMIT", 0, 1}},
	{args: []any{"ZREVRANGEBYLEX", theKey, "+", "-", "LIMIT", 0, 1}},
	{args: []any{"ZLEXCOUNT", theKey, "-", "+"}},
	{args: []any{"ZADD", theKey, "XX", "LT", 0, ""}},
	{args: []any{"ZREM", theKey, ""}},

	{args: []any{"SCARD", theKey}},
	{args: []any{"SMISMEMBER", theKey, ""}},
	{args: []any{"SRANDMEMBER", theKey, 1}},
	{args: []any{"SSCAN", theKey, 0, "COUNT", 1}},
	{args: []any{"XRANGE", theKey, "-", "+"}},
	{args: []any{"XREVRANGE", theKey, "+", "-", "COUNT", 1}},
	{args: []any{"XREAD", "COUNT", 1, "STREAMS", theKey, 0}},
	{args: []any{"XADD", theKey, "NOMKSTREAM", "MAXLEN", "~", 1, "*", "", ""}},

	{args: []any{"SREM", theKey, ""}},
	{args: []any{"APPEND", theKey, ""}},
	{args: []any{"SADD", theKey, ""}},
}

// checkRights tries in each partition what the store needs: that Redis knows it, and that the
// user may do it. It says nothing about a partition that does not answer now, or whose Redis
// refuses to write.
func (s *Store) checkRights(ctx context.Context, parts []*partition) error {
	var args []any
	for _, t := range trials {
		args = append(args, 1+len(t.args), t.args[0], t.want)
		args = append(args, t.args[1:]...)
	}
	calls := make([]*call, len(parts))
	for i, p := range parts {
		calls[i] = &call{script: rightsScript, base: p.base, args: args, whole: true}
	}
	// The user must have both EVAL and EVALSHA, which knows the script after the first.
	s.runAll(ctx, calls...)
	for _, c := range calls {
		if err := refusedTrials(c); err != nil {
			return err
		}
	}
	again := &call{script: rightsScript, base: parts[0].base}
	s.runAll(ctx, again)
	return refusedTrials(again)
}

// checkWait tries the one command that scripts cannot run, if it is used.
func (s *Store) checkWait(ctx context.Context) error {
	if s.conns.get().replication.replicas == 0 {
		return nil
	}
	servers, err := s.masters(ctx)
	if err != nil {
		return err
	}
	for _, server := range servers {
		if err := server.Do(ctx, "WAIT", 0, 1).Err(); redis.HasErrorPrefix(err, "NOPERM") {
			return s.wrap(err)
		}
	}
	return nil
}

// refusedTrials returns an error if Redis refused commands, or the script.
func refusedTrials(c *call) error {
	if c.err != nil {
		return refusal(c.err)
	}
	var denied, unknown []string
	for r := c.reply[1:]; len(r) >= 2; r = r[2:] {
		command, _ := r[0].(string)
		words, _ := r[1].(string)
		words = command + " (" + redisWords(words) + ")"
		if isDenial(words) {
			denied = append(denied, words)
		} else {
			unknown = append(unknown, words)
		}
	}
	switch {
	case len(denied) > 0:
		return fmt.Errorf("%w: %s", errNoPermission, strings.Join(denied, ", "))
	case len(unknown) > 0:
		return fmt.Errorf("%w: %s", errTooOld, strings.Join(unknown, ", "))
	}
	return nil
}

// refusal returns an error of a call if it is about what the server can do and the user may
// do. Health tells the others.
func refusal(err error) error {
	switch {
	case errors.Is(err, errNoPermission), errors.Is(err, errTooOld):
		return err
	case errors.Is(err, errAnswer):
		return fmt.Errorf("%w: %w", errTooOld, err)
	}
	return nil
}

// isDenial reports whether an error of a command in a script is about the user's rights.
func isDenial(words string) bool {
	return strings.Contains(words, "NOPERM") || strings.Contains(words, "The user executing the script")
}
