package redis

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// TestTrials checks that Open tries all commands that the scripts use.
func TestTrials(t *testing.T) {
	var tried []string
	for _, trial := range trials {
		tried = append(tried, fmt.Sprint(trial.args[0]))
	}
	for _, command := range scriptCommands(t) {
		if !slices.Contains(tried, command) {
			t.Errorf("%s is used and not tried", command)
		}
	}
}

// TestTrialsLeaveNothing checks that a first Open writes only the meta key, and later ones
// nothing.
func TestTrialsLeaveNothing(t *testing.T) {
	o := options()
	s := open(t, o)
	open(t, o)
	if keys := s.client().Keys(t.Context(), o.KeyPrefix+":*").Val(); len(keys) != 1 || keys[0] != s.keys.meta() {
		t.Errorf("Open leaves %q", keys)
	}
}

// TestMissingRight takes each command from the README's user in turn: Open says which one is
// missing.
func TestMissingRight(t *testing.T) {
	server := redistest.Start(t)
	o := addReadmeUser(t, server)
	root := asRoot(t, server)
	commands := regexp.MustCompile(`\+(\w+)`).FindAllStringSubmatch(readmeUser(t), -1)
	if len(commands) < 30 {
		t.Fatalf("the README's user has only the commands %v", commands)
	}
	for i, found := range commands {
		command := found[1]
		o.KeyPrefix = fmt.Sprint("test", i)
		setUser(t, root, "-"+command)
		err := openError(t, o)
		if err == nil || !errors.Is(err, delivery.ErrUnavailable) || !strings.Contains(strings.ToLower(err.Error()), command) {
			t.Errorf("without %s: %v", command, err)
		}
		if err != nil && strings.Contains(err.Error(), o.Password) {
			t.Errorf("the error has the password: %v", err)
		}
		setUser(t, root, "+"+command)
	}

	o.WaitReplicas, o.KeyPrefix = 1, "testwait"
	if err := openError(t, o); err == nil || !strings.Contains(err.Error(), "'wait'") {
		t.Errorf("without wait: %v", err)
	}
	setUser(t, root, "+wait")
	open(t, o)
	o.WaitReplicas = 0

	// Keys that the user may not use.
	o.KeyPrefix = "other"
	if err := openError(t, o); err == nil || !strings.Contains(err.Error(), "permission") || !strings.Contains(err.Error(), "key") {
		t.Errorf("without rights for the keys: %v", err)
	}
	o.KeyPrefix = "test"
	open(t, o)
}

// openError opens a store, and returns the error.
func openError(t *testing.T, o Options) error {
	s := New(o)
	defer s.Close()
	return s.Open(t.Context())
}

func setUser(t *testing.T, root *redis.Client, rules ...any) {
	t.Helper()
	if err := root.Do(t.Context(), append([]any{"ACL", "SETUSER", "webhooks"}, rules...)...).Err(); err != nil {
		t.Fatal(err)
	}
}

// TestOtherServers opens servers that speak Redis's language but are not Redis 7.0: the error
// says what is missing.
func TestOtherServers(t *testing.T) {
	for name, test := range map[string]struct {
		info, eval string
		want       string
	}{
		"old Redis":         {"redis_version:6.2.14", "", "Redis 6.2.14"},
		"no version":        {"server:other", "-ERR unknown command 'EVAL', with args beginning with: 'secret'", "command 'EVAL'"},
		"old scripts":       {"server:other", "-ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'", "Redis 7.0 or newer"},
		"a command missing": {"redis_version:7.2.4", "*3\r\n:0\r\n$7\r\nZMSCORE\r\n$41\r\n-ERR Unknown Redis command called from script", "ZMSCORE"},
	} {
		t.Run(name, func(t *testing.T) {
			s := New(Options{Addresses: []string{imitate(t, test.info, test.eval)}})
			defer s.Close()
			err := s.Open(t.Context())
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("the error is %v, want %q in it", err, test.want)
			}
		})
	}
}

// imitate runs a server that answers INFO and EVAL as given, and what else Open asks as Redis
// does. It returns its address.
func imitate(t *testing.T, info, eval string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	replies := map[string]string{
		"info": fmt.Sprintf("$%d\r\n%s", len(info), info), "eval": eval,
		"hgetall": "*4\r\n$6\r\nschema\r\n$1\r\n3\r\n$10\r\npartitions\r\n$1\r\n1", "time": "*2\r\n$1\r\n1\r\n$1\r\n0",
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answer(conn, replies)
		}
	}()
	return listener.Addr().String()
}

// answer answers the commands that come on a connection.
func answer(conn net.Conn, replies map[string]string) {
	defer conn.Close()
	lines := bufio.NewReader(conn)
	for {
		var n int
		if _, err := fmt.Fscanf(lines, "*%d\r\n", &n); err != nil {
			return
		}
		var command string
		for i := range n {
			var size int
			if _, err := fmt.Fscanf(lines, "$%d\r\n", &size); err != nil {
				return
			}
			word := make([]byte, size+len("\r\n"))
			for got := 0; got < len(word); {
				more, err := lines.Read(word[got:])
				if err != nil {
					return
				}
				got += more
			}
			if i == 0 {
				command = strings.ToLower(string(word[:size]))
			}
		}
		reply, ok := replies[command]
		if !ok {
			reply = "-ERR unknown command '" + command + "'"
		}
		if _, err := conn.Write([]byte(reply + "\r\n")); err != nil {
			return
		}
	}
}
