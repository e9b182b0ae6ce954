package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// refusals are the beginnings of Redis's errors for commands that it did not run, and what
// they mean to an administrator.
var refusals = []struct {
	prefix string
	kind   error
	advice string
}{
	{"OOM", delivery.ErrFull, "Redis has reached its maxmemory"},
	{"MISCONF", delivery.ErrFull, "Redis cannot save to its disk, so it refuses writes"},
	{"LOADING", delivery.ErrUnavailable, "Redis is loading its data"},
	{"MASTERDOWN", delivery.ErrUnavailable, "the Redis replica has lost its master"},
	{"READONLY", delivery.ErrUnavailable, "this Redis is a replica, which refuses writes"},
	{"NOREPLICAS", delivery.ErrUnavailable, "Redis has too few replicas to accept writes"},
	{"CLUSTERDOWN", delivery.ErrUnavailable, "the Redis Cluster is down"},
	{"TRYAGAIN", delivery.ErrUnavailable, "the Redis Cluster is moving data"},
	{"MOVED", delivery.ErrUnavailable, "the Redis Cluster has moved data"},
	{"ASK", delivery.ErrUnavailable, "the Redis Cluster is moving data"},
	{"BUSY", delivery.ErrUnavailable, "Redis is busy with a script that is not ours"},
	{"NOAUTH", delivery.ErrUnavailable, "Redis requires a password; set it in the store's configuration"},
	{"WRONGPASS", delivery.ErrUnavailable, "Redis does not accept the user name or password"},
	{"NOPERM", errNoPermission, ""},
	{"ERR The user executing the script can't", errNoPermission, ""}, // Redis 7.0
	{"ERR max number of clients", delivery.ErrUnavailable, "Redis has reached its maxclients"},
	{"ERR AUTH", delivery.ErrUnavailable, "Redis has no password set, but one is configured"},
	// The rest of this error repeats the arguments, which may be a password.
	{"ERR unknown command", errTooOld, "it does not know the"},
	{"ERR Client sent AUTH", delivery.ErrUnavailable, "Redis has no password set, but one is configured"},
}

var (
	// errNoPermission: Redis's words follow.
	errNoPermission = fmt.Errorf("%w: %w; Redis says", delivery.ErrUnavailable,
		delivery.Reason("the Redis user lacks a permission; README.md shows a user with all that it needs"))
	// errTooOld: what is missing follows.
	errTooOld = fmt.Errorf("%w: %w", delivery.ErrUnavailable,
		delivery.Reason("the server lacks what the store needs; it must be Redis 7.0 or newer, with no command renamed"))
	// errAnswer: Redis's words follow. It is unknown what Redis did.
	errAnswer error = delivery.Reason("error from Redis")
)

// partly begins the error of a script that broke off after it had written something: see
// common.lua.
const partly = "PARTLY "

// unknownCommand is the part of the error that has no arguments.
var unknownCommand = regexp.MustCompile(` command '?[A-Za-z]+'?`)

// where is what Redis adds to the error of a script.
var where = regexp.MustCompile(` script: [0-9a-f]{40}, on @user_script:\d+\.?$`)

// redisWords is an error of Redis as an administrator can read it. It has names of users,
// commands, keys and channels, but no arguments, and so no secrets.
func redisWords(text string) string {
	return where.ReplaceAllString(strings.TrimPrefix(text, partly), "")
}

// wrap classifies an error of the client. An error that is neither ErrFull nor
// ErrUnavailable leaves open whether the command was run. No error has a password: Redis
// repeats one only in a command that it does not know, and addresses have none.
func (s *Store) wrap(err error) error {
	if err == nil {
		return nil
	}
	s.conns.suspect(err)
	var answer redis.Error
	if errors.As(err, &answer) {
		return wrapAnswer(answer.Error())
	}
	if notSent(err) {
		return fmt.Errorf("%w: %w", delivery.ErrUnavailable, dialAdvice(err))
	}
	return fmt.Errorf("%w: %w", delivery.Reason("no answer from Redis"), err)
}

// unreachable is the error of a call for which no server was found.
func (s *Store) unreachable(err error) error {
	s.conns.suspect(err)
	return fmt.Errorf("%w: %w: %w", delivery.ErrUnavailable,
		delivery.Reason("no node of the Redis Cluster says which of them has the data"), err)
}

// wrapAnswer classifies an error that Redis answered. Nothing was written if it did not run the
// command, nor if a script failed before it wrote anything.
func wrapAnswer(text string) error {
	words := redisWords(text)
	for _, r := range refusals {
		if !strings.HasPrefix(words, r.prefix) {
			continue
		}
		var advice error = delivery.Reason(r.advice)
		switch {
		case errors.Is(r.kind, errNoPermission):
			advice = errors.New(words)
		case errors.Is(r.kind, errTooOld):
			advice = errors.New(r.advice + unknownCommand.FindString(words))
		}
		if strings.HasPrefix(text, partly) {
			// No kind: it is unknown what was written.
			return fmt.Errorf("%w: %s: %w", delivery.Reason("a script in Redis broke off in its middle"), r.kind.Error(), advice)
		}
		return fmt.Errorf("%w: %w", r.kind, advice)
	}
	return fmt.Errorf("%w: %s", errAnswer, words)
}

// notSent reports whether an error occurred before anything was sent.
func notSent(err error) bool {
	var op *net.OpError
	return errors.Is(err, redis.ErrClosed) || errors.Is(err, redis.ErrPoolTimeout) ||
		errors.As(err, &op) && op.Op == "dial"
}

// movedAnswers begin the answers of a server that is not, or may soon no longer be, the one
// that takes writes.
var movedAnswers = []string{"READONLY", "MOVED", "CLUSTERDOWN", "MASTERDOWN", "LOADING"}

// mayHaveMoved reports whether an error is a sign that another server may have taken over:
// any error but an answer that means something else.
func mayHaveMoved(err error) bool {
	var answer redis.Error
	if errors.As(err, &answer) {
		return slices.ContainsFunc(movedAnswers, func(prefix string) bool { return strings.HasPrefix(answer.Error(), prefix) })
	}
	return !errors.Is(err, context.Canceled) && !errors.Is(err, redis.ErrClosed)
}

// isStuck reports whether an error is a sign that other connections to the same server are
// of no use, either: it hangs, or it has become a replica. If it has ended, so have they.
func isStuck(err error) bool {
	var timeout net.Error
	return redis.HasErrorPrefix(err, "READONLY") || redis.HasErrorPrefix(err, "MASTERDOWN") ||
		errors.Is(err, redis.ErrPoolTimeout) || errors.As(err, &timeout) && timeout.Timeout()
}

func dialAdvice(err error) error {
	switch {
	case errors.Is(err, redis.ErrClosed):
		return delivery.Reason("the store is closed")
	case errors.Is(err, redis.ErrPoolTimeout):
		return delivery.Reason("all connections to Redis are busy")
	case errors.Is(err, context.DeadlineExceeded):
		return delivery.Reason("Redis does not accept connections in time")
	default:
		return fmt.Errorf("%w: %w", delivery.Reason("Redis cannot be reached"), err)
	}
}
